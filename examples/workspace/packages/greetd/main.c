#include <greet.h>
#include <page.h>
#include <string.h>

int main(void) {
    char language[8];
    char name[80];
    char text[200];
    if (page_parameter("language", language, sizeof language) < 0) {
        strcpy(language, "en");
    }
    if (page_parameter("name", name, sizeof name) < 0) {
        strcpy(name, "whoever you are");
    }
    page_begin("A greeting");
    if (greet(text, sizeof text, language, name) < 0) {
        page_text("That language is not known here.");
    } else {
        page_text(text);
    }
    page_end();
    return 0;
}
