/* The function, which recognizes handwritten digits: rows of 64 grey pixels, each from 0 (white) to 16 (black).

   The body is JSON, a row or a list of rows, or with Content-Type: text/csv a row for each line. The answer has the
   digit of each row and the probabilities of all ten digits, as the model computes them:

       {"digits": [3], "probabilities": [[0.0001, ...]]}

   A request reaches the program as CGI: variables, standard input and output. It asks the host for the model's outputs
   through WASI-NN, where its rows join the batches of all other requests. */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wasi_nn.h"

#ifndef MODEL
#define MODEL "wasm-digits"
#endif
#define PIXELS 64
#define DIGITS 10
#define BLACK 16.0
#define NUMBER "0123456789+-.eE"
#define SPACE " \t\r\n"

enum { LABEL, PROBABILITIES }; /* the outputs of the model */

typedef struct {
  float *pixels; /* rows * PIXELS */
  uint32_t rows;
} images;

/* Answers with an error of the client, and ends the program. The message needs no escapes in JSON. */
static void refuse(const char *status, const char *format, ...) {
  va_list values;
  va_start(values, format);
  printf("Status: %s\nContent-Type: application/json\n\n{\"error\": \"", status);
  vprintf(format, values);
  printf("\"}\n");
  va_end(values);
  exit(0);
}

/* Ends the program if a call of the host has failed; "busy" is an error that passes. */
static void require(const char *call, uint32_t error) {
  if (error == NN_SUCCESS) return;
  if (error == NN_BUSY) refuse("503 Service Unavailable", "the model is busy; send the request again");
  fprintf(stderr, "%s: error %u\n", call, error);
  exit(1);
}

static void *allocate(void *block, size_t size) {
  block = realloc(block, size);
  if (!block) refuse("413 Content Too Large", "the request needs more than the memory of the guest");
  return block;
}

/* Returns the body, with a 0 at its end. */
static char *read_body(void) {
  size_t room = 1 << 14, size = 0, got;
  char *body = allocate(NULL, room + 1);
  while ((got = fread(body + size, 1, room - size, stdin)) > 0) {
    size += got;
    if (size == room) body = allocate(body, (room *= 2) + 1);
  }
  body[size] = 0;
  if (strlen(body) != size) refuse("400 Bad Request", "the body has a character U+0000; expected text");
  return body;
}

/* Reads one number from 0 to 16 and moves `text` behind it. */
static float pixel(char **text, uint32_t row, uint32_t column) {
  size_t length = strspn(*text, NUMBER);
  char *end = *text;
  double value = length ? strtod(*text, &end) : 0;
  if (!length || end != *text + length || !(value >= 0 && value <= BLACK))
    refuse("400 Bad Request", "row %u, pixel %u: expected a number from 0 to 16", row, column);
  *text = end;
  return (float)value;
}

static void skip(char **text, const char *characters) { *text += strspn(*text, characters); }

static bool take(char **text, char character) {
  if (**text != character) return false;
  ++*text;
  return true;
}

/* Reads the 64 numbers of a row, with commas between them. */
static void read_row(char **text, images *found, const char *space) {
  found->pixels = allocate(found->pixels, (found->rows + 1) * PIXELS * sizeof(float));
  for (uint32_t column = 0; column < PIXELS; column++) {
    skip(text, space);
    if (column && !take(text, ','))
      refuse("400 Bad Request", "row %u: got %u numbers; expected 64", found->rows, column);
    skip(text, space);
    found->pixels[found->rows * PIXELS + column] = pixel(text, found->rows, column);
  }
  skip(text, space);
  found->rows++;
}

static images read_csv(char *text) {
  images found = {NULL, 0};
  for (skip(&text, SPACE); *text; skip(&text, SPACE)) {
    read_row(&text, &found, " \t\r");
    if (*text && *text != '\n') refuse("400 Bad Request", "row %u: expected 64 numbers", found.rows - 1);
  }
  return found;
}

static void require_json(bool right) {
  if (!right) refuse("400 Bad Request", "expected a list of 64 numbers, or a list of such lists, as JSON");
}

static void read_json_row(char **text, images *found) {
  skip(text, SPACE);
  require_json(take(text, '['));
  read_row(text, found, SPACE);
  if (!take(text, ']')) refuse("400 Bad Request", "row %u: expected 64 numbers", found->rows - 1);
  skip(text, SPACE);
}

static images read_json(char *text) {
  images found = {NULL, 0};
  skip(&text, SPACE);
  char *inner = text;
  require_json(take(&inner, '['));
  skip(&inner, SPACE);
  if (*inner != '[') {
    read_json_row(&text, &found);
  } else {
    do read_json_row(&inner, &found); while (take(&inner, ','));
    require_json(take(&inner, ']'));
    text = inner;
  }
  skip(&text, SPACE);
  require_json(!*text);
  return found;
}

static void read_output(uint32_t context, uint32_t index, void *output, uint32_t size) {
  uint32_t written;
  require("get_output", nn_get_output(context, index, output, size, &written));
  if (written != size) {
    fprintf(stderr, "output %u: got %u bytes; expected %u\n", index, written, size);
    exit(1);
  }
}

static void answer(uint32_t rows, const int64_t *digits, const float (*probabilities)[DIGITS]) {
  printf("Content-Type: application/json\n\n{\"digits\": [");
  for (uint32_t row = 0; row < rows; row++) printf("%s%lld", row ? ", " : "", digits[row]);
  printf("], \"probabilities\": [");
  for (uint32_t row = 0; row < rows; row++) {
    printf(row ? ", [" : "[");
    for (uint32_t digit = 0; digit < DIGITS; digit++)
      printf("%s%.9g", digit ? ", " : "", probabilities[row][digit]); /* 9 digits state a float32 exactly */
    printf("]");
  }
  printf("]}\n");
}

int main(void) {
  const char *type = getenv("CONTENT_TYPE");
  char *body = read_body();
  images found = type && !strncmp(type, "text/csv", 8) ? read_csv(body) : read_json(body);
  if (!found.rows) refuse("400 Bad Request", "got no row; expected at least one");

  uint32_t graph, context, dimensions[] = {found.rows, PIXELS};
  nn_tensor input = {dimensions, 2, NN_FP32, {0}, (uint8_t *)found.pixels, found.rows * PIXELS * sizeof(float)};
  require("load_by_name", nn_load_by_name(MODEL, strlen(MODEL), &graph));
  require("init_execution_context", nn_init_execution_context(graph, &context));
  require("set_input", nn_set_input(context, 0, &input));
  require("compute", nn_compute(context));

  int64_t *digits = allocate(NULL, found.rows * sizeof *digits);
  float(*probabilities)[DIGITS] = allocate(NULL, found.rows * sizeof *probabilities);
  read_output(context, LABEL, digits, found.rows * sizeof *digits);
  read_output(context, PROBABILITIES, probabilities, found.rows * sizeof *probabilities);
  answer(found.rows, digits, probabilities);
  return 0;
}
