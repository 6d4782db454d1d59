# The names of this architecture's system calls by number, from the C library's header: syscall_names.inc, lines of
# `[NUMBER] = "NAME",`.
set(PW_SYSCALLS_DIR ${PROJECT_BINARY_DIR}/syscalls)
file(WRITE ${PW_SYSCALLS_DIR}/numbers.c "#include <sys/syscall.h>\n")
execute_process(COMMAND ${CMAKE_C_COMPILER} -E -dM ${PW_SYSCALLS_DIR}/numbers.c
    OUTPUT_VARIABLE macros COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "#define __NR_[a-z0-9_]+ [0-9]+\n" macros "${macros}")
set(names "")
foreach(macro IN LISTS macros)
    string(REGEX REPLACE "#define __NR_([a-z0-9_]+) ([0-9]+)\n" "    [\\2] = \"\\1\",\n" line "${macro}")
    string(APPEND names "${line}")
endforeach()
file(CONFIGURE OUTPUT ${PW_SYSCALLS_DIR}/syscall_names.inc CONTENT "${names}" @ONLY)
