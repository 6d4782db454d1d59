/* A planted fault: uses size_t, but leaves it to others to include <stddef.h>. */
#ifndef PW_CORE_NEEDS_FRIEND_H
#define PW_CORE_NEEDS_FRIEND_H

size_t pw_needs_friend(void);

#endif
