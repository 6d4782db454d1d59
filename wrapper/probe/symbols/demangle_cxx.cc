#include "wrapper/probe/symbols/demangle.h"

#include <cxxabi.h>

char *pw_demangle_cxx(const char *mangled)
{
    int status = 0;
    return abi::__cxa_demangle(mangled, nullptr, nullptr, &status);
}
