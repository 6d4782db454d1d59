# The OTLP messages: C sources generated from schemas/otlp/otlp.proto with protoc-c, as a library of their own,
# because what a generator writes is not held to our warnings. Made when the build is configured, so that checks of
# sources (clang-tidy) need no build.
find_program(PW_PROTOC_C protoc-c REQUIRED)
set(proto ${PROJECT_SOURCE_DIR}/schemas/otlp/otlp.proto)
set(proto_dir ${PROJECT_BINARY_DIR}/proto)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${proto})
file(MAKE_DIRECTORY ${proto_dir})
if(NOT EXISTS ${proto_dir}/otlp.pb-c.c OR ${proto} IS_NEWER_THAN ${proto_dir}/otlp.pb-c.c)
    execute_process(COMMAND ${PW_PROTOC_C} --c_out=${proto_dir} -I${PROJECT_SOURCE_DIR}/schemas/otlp otlp.proto
        COMMAND_ERROR_IS_FATAL ANY)
endif()
add_library(pw_otlp_proto STATIC ${proto_dir}/otlp.pb-c.c)
target_include_directories(pw_otlp_proto SYSTEM PUBLIC ${proto_dir})
target_link_libraries(pw_otlp_proto PUBLIC PkgConfig::PROTOBUF_C)
