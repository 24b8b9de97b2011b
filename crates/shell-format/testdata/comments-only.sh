# nothing but

# comments