/* fault_point.h -- named places in the program where the simulation lets things go wrong.
 *
 * FAULT("post.before_send") is nothing in the product: no code, no string. Compiled with -DFAULT_POINTS (the
 * simulation compiles the sources that it drives that way) it calls fault_point(), which counts the
 * place and may stop the clock of the process there, or end the process: it then does not return.
 * So whatever has to hold when a process dies or sleeps holds at each of them.
 *
 * Owner   none.
 * Thread  the loop that runs the code. */
#ifndef BASE_FAULT_POINT_H
#define BASE_FAULT_POINT_H

#ifdef FAULT_POINTS
void fault_point(const char *name); /* tests/simulation */
#define FAULT(name) fault_point(name)
#else
#define FAULT(name) ((void)0)
#endif

#endif
