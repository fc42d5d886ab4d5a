/* Post a call to a lossd server from C, with libcurl for HTTP and cJSON for the answer.
 *
 * Build: cc -o lossd lossd.c -lcurl -lcjson
 * Run:   LOSSD_URL=http://127.0.0.1:8000 ./lossd
 */
#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text {
    char *characters; /* ends with a zero */
    size_t length;
};

/* Append what arrives; libcurl takes any other number than that of the bytes as a failure. */
static size_t append(char *bytes, size_t size, size_t count, void *to)
{
    struct text *body = to;
    char *longer = realloc(body->characters, body->length + size * count + 1);
    if (longer == NULL)
        return 0;
    body->characters = longer;
    memcpy(longer + body->length, bytes, size * count);
    body->length += size * count;
    longer[body->length] = '\0';
    return size * count;
}

/* Post JSON and return the answer as JSON, or NULL after saying on stderr what went wrong. Use one `curl`
 * handle for all calls of a thread: it keeps the connection open. */
static cJSON *post(CURL *curl, const char *loss, const char *call)
{
    const char *url = getenv("LOSSD_URL");
    char address[1024];
    struct text body = {NULL, 0};
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    long status = 0;
    cJSON *answer = NULL;

    snprintf(address, sizeof address, "%s/v1/losses/%s", url ? url : "http://127.0.0.1:8000", loss);
    curl_easy_setopt(curl, CURLOPT_URL, address);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
    CURLcode result = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (result != CURLE_OK)
        fprintf(stderr, "%s: %s\n", address, curl_easy_strerror(result));
    else if (status != 200) /* a problem as JSON (RFC 9457): what was expected, what came, and where */
        fprintf(stderr, "%s: %ld: %s\n", loss, status, body.characters ? body.characters : "");
    else
        answer = cJSON_Parse(body.characters);
    curl_slist_free_all(headers);
    free(body.characters);
    return answer;
}

/* Find a value by its names from the outside in; cJSON passes NULL on. */
static const cJSON *find(const cJSON *value, const char *first, const char *second, const char *third)
{
    value = cJSON_GetObjectItemCaseSensitive(value, first);
    value = cJSON_GetObjectItemCaseSensitive(value, second);
    return third ? cJSON_GetObjectItemCaseSensitive(value, third) : value;
}

int main(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURL *curl = curl_easy_init();
    cJSON *answer = curl ? post(curl, "huber",
        "{\"input\": [1, 2, 5, 2], \"target\": [1.5, 2, 2, 4], \"delta\": 1, \"gradient\": true}") : NULL;
    if (answer != NULL) {
        const cJSON *number;
        printf("huber loss %.17g\nhuber gradient", cJSON_GetNumberValue(find(answer, "loss", "mean", NULL)));
        cJSON_ArrayForEach(number, find(answer, "gradient", "mean", "input"))
            printf(" %.17g", cJSON_GetNumberValue(number));
        printf("\n");
    }
    int status = answer == NULL ? EXIT_FAILURE : EXIT_SUCCESS;
    cJSON_Delete(answer);
    curl_easy_cleanup(curl);
    curl_global_cleanup();
    return status;
}
