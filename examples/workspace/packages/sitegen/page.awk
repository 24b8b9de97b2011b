# A page: its first line is the title; `=` begins a heading, `*` a list item, an empty line ends a paragraph.

function escaped(text) {
  gsub(/&/, "\\&amp;", text)
  gsub(/</, "\\&lt;", text)
  return text
}

function close_block() {
  if (block != "") print "</" block ">"
  block = ""
}

NR == 1 {
  print "<!doctype html>\n<meta charset=\"utf-8\">\n<title>" escaped($0) "</title>"
  print "<link rel=\"stylesheet\" href=\"style.css\">\n<h1>" escaped($0) "</h1>"
  next
}

/^$/ { close_block(); next }

/^= / { close_block(); print "<h2>" escaped(substr($0, 3)) "</h2>"; next }

/^\* / {
  if (block != "ul") { close_block(); print "<ul>"; block = "ul" }
  print "<li>" escaped(substr($0, 3)) "</li>"
  next
}

{
  close_block()
  print "<p>" escaped($0) "</p>"
}

END { close_block() }
