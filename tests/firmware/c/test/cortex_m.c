/* The test on a Cortex-M under QEMU: vectors, start, and the debugger's way to print and to stop. No C library. */
#include <stdint.h>

int machine_main(void);
extern uint32_t stack_top[];

static int debugger(int operation, const void *argument) {
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void machine_print(const char *text) { debugger(4, text); }

__attribute__((noreturn)) static void stop(int status) {
    /* 0x20026 says that the program ended by itself; anything else is a failure. */
    for (;;) {
        debugger(0x18, (const void *)(uintptr_t)(status == 0 ? 0x20026 : 0x20023));
    }
}

static void start(void) {
#ifdef __ARM_FP
    /* The floating-point unit is off after a reset. */
    *(volatile uint32_t *)0xe000ed88 |= 0xfu << 20;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
    stop(machine_main());
}

static void fault(void) { stop(1); }

__attribute__((section(".vectors"), used)) static const struct {
    const void *stack;
    void (*start)(void), (*faults[2])(void);
} vectors = {stack_top, start, {fault, fault}};
