// What SCVerify wants of a design and its testbench; without Catapult's header these are plain C++.
#ifndef FX_SCVERIFY_H
#define FX_SCVERIFY_H

#if defined(__has_include)
#if __has_include(<mc_scverify.h>)
#include <mc_scverify.h>
#endif
#endif

#ifndef CCS_BLOCK
#define CCS_BLOCK(name) name
#endif
#ifndef CCS_DESIGN
#define CCS_DESIGN(name) name
#endif
#ifndef CCS_MAIN
#define CCS_MAIN(count, words) int main(count, words)
#endif
#ifndef CCS_RETURN
#define CCS_RETURN(code) return code
#endif

#endif
