# Each tests/fuzz/fuzz_NAME.c is one program. Its ctest test is a smoke test: the seeds in
# tests/data/fuzz/NAME, then PW_FUZZ_SECONDS of new inputs, made of the words in tests/data/fuzz/NAME.dict too if
# there is one. To hunt, run the program by hand for longer.
set(PW_FUZZ_SECONDS 7 CACHE STRING "Seconds that ctest gives each fuzz program")
file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_*.c)
foreach(source IN LISTS sources)
    get_filename_component(program ${source} NAME_WE)
    string(REGEX REPLACE "^fuzz_" "" name ${program})
    add_executable(${program} ${source})
    target_link_libraries(${program} PRIVATE pw_cli pw_options)
    target_link_options(${program} PRIVATE -fsanitize=fuzzer)

    set(found ${PROJECT_BINARY_DIR}/corpus/${name})
    set(seeds ${PROJECT_SOURCE_DIR}/tests/data/fuzz/${name})
    file(MAKE_DIRECTORY ${found})
    if(NOT EXISTS ${seeds})
        set(seeds "")
    endif()
    set(dictionary ${PROJECT_SOURCE_DIR}/tests/data/fuzz/${name}.dict)
    if(EXISTS ${dictionary})
        set(dictionary -dict=${dictionary})
    else()
        set(dictionary "")
    endif()
    add_test(NAME ${PW_PRESET}/${name} COMMAND ${program}
        -max_total_time=${PW_FUZZ_SECONDS} -timeout=10 -rss_limit_mb=1024 -print_final_stats=1
        -artifact_prefix=${PROJECT_BINARY_DIR}/${name}- ${dictionary} ${found} ${seeds})
    set_tests_properties(${PW_PRESET}/${name} PROPERTIES
        LABELS fuzz TIMEOUT 120 FIXTURES_REQUIRED ${PW_PRESET}
        ENVIRONMENT "UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1")
endforeach()
