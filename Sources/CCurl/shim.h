#include <curl/curl.h>

// curl_easy_setopt and curl_easy_getinfo are variadic, which Swift cannot call: one typed door for each kind of argument.
static inline CURLcode agent_curl_set_long(CURL *easy, CURLoption option, long value) {
    return curl_easy_setopt(easy, option, value);
}
static inline CURLcode agent_curl_set_string(CURL *easy, CURLoption option, const char *value) {
    return curl_easy_setopt(easy, option, value);
}
static inline CURLcode agent_curl_set_pointer(CURL *easy, CURLoption option, void *value) {
    return curl_easy_setopt(easy, option, value);
}
static inline CURLcode agent_curl_set_list(CURL *easy, CURLoption option, struct curl_slist *value) {
    return curl_easy_setopt(easy, option, value);
}
typedef size_t (*agent_curl_bytes_callback)(char *bytes, size_t size, size_t count, void *context);
static inline CURLcode agent_curl_set_callback(CURL *easy, CURLoption option, agent_curl_bytes_callback value) {
    return curl_easy_setopt(easy, option, value);
}
static inline CURLcode agent_curl_get_long(CURL *easy, CURLINFO info, long *value) {
    return curl_easy_getinfo(easy, info, value);
}
// CURL_GLOBAL_DEFAULT is an expression macro, which Swift does not import.
static inline CURLcode agent_curl_start(void) {
    return curl_global_init(CURL_GLOBAL_DEFAULT);
}
