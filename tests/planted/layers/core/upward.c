/* A planted fault: core knows nobody else. */
#include "exporters/exporter.h"
#include "core/err.h"
