/* The test on an operating system. */
#include <stdio.h>

int machine_main(void);

void machine_print(const char *text) { fputs(text, stdout); }

int main(void) { return machine_main(); }
