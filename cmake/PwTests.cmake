# Tests, named PRESET/KIND/NAME, so that scripts/check can run those of several builds in one ctest call. There
# the fixture PRESET is the step that builds the preset; called by hand in a build folder it does not exist.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
find_program(PW_PYTHON NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(PW_PYTHON NAMES python3 REQUIRED)
set(tests ${PROJECT_SOURCE_DIR}/tests)
set(targets_dir ${PROJECT_BINARY_DIR}/targets)

# perfwrap itself uses most exit statuses: 99 is a sanitizer's alone.
set(environment
    "PW_SOURCE_DIR=${PROJECT_SOURCE_DIR}"
    "PW_BUILD_DIR=${PROJECT_BINARY_DIR}"
    "PW_PRESET=${PW_PRESET}"
    "PW_TARGETS=${targets_dir}"
    "PERFWRAP=${PROJECT_BINARY_DIR}/perfwrap"
    "ASAN_OPTIONS=detect_leaks=1:halt_on_error=1:detect_stack_use_after_return=1:strict_string_checks=1:exitcode=99"
    "UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1:exitcode=99"
    "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:exitcode=99")
get_filename_component(reference ${PROJECT_SOURCE_DIR}/../shared/reference ABSOLUTE)
if(EXISTS ${reference})
    list(APPEND environment "PW_REFERENCE_DIR=${reference}")
endif()
# For clients that are not our own; where they are missing, their tests say so and are skipped.
set(PW_NPM_DIR ${PROJECT_SOURCE_DIR}/build/npm CACHE PATH "Where ./bootstrap test installs npm packages")
list(APPEND environment "PW_NPM_DIR=${PW_NPM_DIR}")
get_filename_component(tools ${PROJECT_SOURCE_DIR}/../shared/tools ABSOLUTE)
if(EXISTS ${tools})
    list(APPEND environment "PW_TOOLS_DIR=${tools}")
endif()

# ThreadSanitizer of these compilers cannot live with the address randomisation of some kernels.
set(launch "")
if(PW_SANITIZE MATCHES "thread")
    execute_process(COMMAND setarch -R true RESULT_VARIABLE refused OUTPUT_QUIET ERROR_QUIET)
    if(NOT refused)
        set(launch setarch -R)
    endif()
endif()

# pw_test(KIND NAME SECONDS COMMAND...)
function(pw_test kind name seconds)
    add_test(NAME ${PW_PRESET}/${kind}/${name} COMMAND ${launch} ${ARGN})
    set_tests_properties(${PW_PRESET}/${kind}/${name} PROPERTIES
        LABELS ${kind} TIMEOUT ${seconds} FIXTURES_REQUIRED ${PW_PRESET} ENVIRONMENT "${environment}")
endfunction()

# Modules, with cmocka. Those that count what their own forks do have no threads, and ThreadSanitizer gives each
# process one more.
file(GLOB sources CONFIGURE_DEPENDS ${tests}/unit/test_*.c)
foreach(source IN LISTS sources)
    get_filename_component(program ${source} NAME_WE)
    string(REGEX REPLACE "^test_" "" name ${program})
    if(name MATCHES "^(account|account_sums|account_io|cgroup)$" AND PW_SANITIZE MATCHES "thread")
        continue()
    endif()
    add_executable(${program} ${source})
    set_target_properties(${program} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/unit)
    target_link_libraries(${program} PRIVATE pw_cli PkgConfig::CMOCKA pw_options)
    pw_test(unit ${name} 120 $<TARGET_FILE:${program}>)
endforeach()

# Programs with a known behaviour, to be measured by the tests: as plain as can be. NAME_static.c is linked
# statically; a file without main() is a library to preload, NAME.so.
file(GLOB sources CONFIGURE_DEPENDS ${tests}/targets/*.c)
add_custom_target(targets)
foreach(source IN LISTS sources)
    get_filename_component(program ${source} NAME_WE)
    add_dependencies(targets target_${program})
    if(program STREQUAL "clock_jump") # for LD_PRELOAD
        add_library(target_${program} MODULE ${source})
        set_target_properties(target_${program} PROPERTIES PREFIX "" SUFFIX ".so"
            OUTPUT_NAME ${program} LIBRARY_OUTPUT_DIRECTORY ${targets_dir})
        target_link_libraries(target_${program} PRIVATE pw_language)
        continue()
    endif()
    add_executable(target_${program} ${source})
    target_link_libraries(target_${program} PRIVATE pw_language Threads::Threads)
    set_target_properties(target_${program} PROPERTIES
        OUTPUT_NAME ${program} RUNTIME_OUTPUT_DIRECTORY ${targets_dir})
    if(program STREQUAL "two_functions") # its stacks are looked at
        target_compile_options(target_${program} PRIVATE
            -O0 -fno-omit-frame-pointer -fno-stack-protector)
    endif()
    if(program MATCHES "_static$")
        target_link_options(target_${program} PRIVATE -static)
        set_target_properties(target_${program} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
        target_compile_options(target_${program} PRIVATE -fno-pie)
    endif()
endforeach()

# perfwrap with 200 MiB of its own, which must not show in its workers' memory.
if(TARGET perfwrap)
    add_executable(perfwrap-grown ${tests}/grown/perfwrap_grown.c)
    target_link_libraries(perfwrap-grown PRIVATE pw_cli pw_options)
endif()

# The program from outside. Serial in the builds without sanitizers, for many of these tests measure time; others run
# side by side. Under ThreadSanitizer those are left out whose work is done by one thread, and costs much: what reads
# documents, machines, and what accounting cannot do.
set(untimed "accounting_bad|boot|boot_.*|check|cli_usage|compare|contract|index|log|otlp_(agent|collect|hostile|sdk)|suggest")
set(one_thread "accounting_bad|boot|boot_.*|check|cli_usage|compare|doctor|footprint|log|memory|suggest|timed_boots")
file(GLOB sources CONFIGURE_DEPENDS ${tests}/cli/test_*.py)
foreach(source IN LISTS sources)
    get_filename_component(module ${source} NAME_WE)
    string(REGEX REPLACE "^test_" "" name ${module})
    if(name MATCHES "^(${one_thread})$" AND PW_SANITIZE MATCHES "thread")
        continue()
    endif()
    pw_test(cli ${name} 300 ${PW_PYTHON} -B -m unittest -v ${module})
    set_tests_properties(${PW_PRESET}/cli/${name} PROPERTIES
        WORKING_DIRECTORY ${tests}/cli FAIL_REGULAR_EXPRESSION "Ran 0 tests")
    if(NOT PW_SANITIZE AND NOT name MATCHES "^(${untimed})$")
        set_tests_properties(${PW_PRESET}/cli/${name} PROPERTIES RUN_SERIAL TRUE)
    endif()
endforeach()

# Faults planted for the sanitizers: each must end the program, with the finding named.
function(pw_planted name finding)
    add_executable(planted_${name} ${tests}/planted/${name}.c)
    target_link_libraries(planted_${name} PRIVATE Threads::Threads pw_options)
    pw_test(planted ${name} 60 ${PROJECT_SOURCE_DIR}/scripts/must-fail ${finding}
        $<TARGET_FILE:planted_${name}>)
endfunction()
if(PW_SANITIZE MATCHES "address")
    pw_planted(leak "LeakSanitizer: detected memory leaks")
    pw_planted(overflow "AddressSanitizer: heap-buffer-overflow")
endif()
if(PW_SANITIZE MATCHES "undefined")
    pw_planted(shift "runtime error: shift exponent")
endif()
if(PW_SANITIZE MATCHES "thread")
    pw_planted(race "ThreadSanitizer: data race")
endif()

# Measurements of perfwrap itself: built by target `bench`, run by hand with tests/bench/run. NAME_target.c is a
# worker that is measured: linked statically, as plain as can be.
add_custom_target(bench)
file(GLOB sources CONFIGURE_DEPENDS ${tests}/bench/bench_*.c)
foreach(source IN LISTS sources)
    get_filename_component(program ${source} NAME_WE)
    add_executable(${program} ${source})
    set_target_properties(${program} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
    add_dependencies(bench ${program})
    if(program MATCHES "_target$")
        target_link_libraries(${program} PRIVATE pw_language)
        target_link_options(${program} PRIVATE -static)
        target_compile_options(${program} PRIVATE -fno-pie)
        set_target_properties(${program} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    else()
        target_link_libraries(${program} PRIVATE pw_cli pw_options)
    endif()
endforeach()
