/* A function that behaves as the path of its request says. "/" reads two numbers from the standard input, and answers
   with the output of the model m for this row. The other paths misuse the host. They answer with the errors that they
   get, unless the host stops them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wasi_nn.h"

#define WILD(type) ((type *)0xFFFFFFF0)
#define FORGED 77
#define EVERYTHING 0xFFFFFFFF

static const char *path;
static uint32_t graph, context, written;
static uint32_t dimensions[3] = {1, 2, 1};
static float row[2] = {1, 2}, output[2];
static const tensor good = {dimensions, 2, FP32, {0}, (const uint8_t *)row, sizeof row};

static int is(const char *name) { return !strcmp(path, name); }

static void tell(uint32_t number) { printf("%u ", number); }

static void require(const char *what, uint32_t number) {
  if (number == 0) return;
  fprintf(stderr, "%s: error %u\n", what, number);
  exit(10 + (int)number);
}

static uint32_t set(tensor changed) { return nn_set_input(context, 0, &changed); }

static void pass_wild_pointers(void) {
  tensor tensors[] = {good, good, good, good, good, good};
  tensors[0].dimensions = WILD(const uint32_t);
  tensors[1].rank = EVERYTHING;
  tensors[2].data = WILD(const uint8_t);
  tensors[3].size = EVERYTHING;
  tensors[4].size = 4;
  tensors[5].rank = 3;
  graph_builder builder = {WILD(const uint8_t), 64}, large = {(const uint8_t *)row, EVERYTHING};
  tell(nn_load_by_name(WILD(const char), 64, &graph));
  tell(nn_load_by_name("m", 1, WILD(uint32_t)));
  tell(nn_load_by_name("m", EVERYTHING, &graph));
  tell(nn_load(WILD(const graph_builder), 1, ONNX, CPU, &graph));
  tell(nn_load(&builder, 1, ONNX, CPU, &graph));
  tell(nn_load(&large, 1, ONNX, CPU, &graph));
  tell(nn_set_input(context, 0, WILD(const tensor)));
  for (int each = 0; each < 6; each++) tell(set(tensors[each]));
  tell(nn_compute(context));
  require("set_input", set(good));
  require("compute", nn_compute(context));
  tell(nn_get_output(context, 0, WILD(uint8_t), sizeof output, &written));
  tell(nn_get_output(context, 0, (uint8_t *)output, EVERYTHING, &written));
  tell(nn_get_output(context, 0, (uint8_t *)output, sizeof output, WILD(uint32_t)));
}

static void forge_handles(void) {
  uint32_t other;
  tell(nn_init_execution_context(FORGED, &other));
  tell(nn_set_input(FORGED, 0, &good));
  tell(nn_compute(FORGED));
  tell(nn_get_output(FORGED, 0, (uint8_t *)output, sizeof output, &written));
  tell(nn_unload(FORGED));
  tell(nn_unload(graph));
  tell(nn_unload(graph));
  tell(nn_compute(context));
  tell(nn_init_execution_context(graph, &other));
}

static void hold_handles(void) {
  uint32_t other, error;
  do error = nn_load_by_name("m", 1, &other); while (!error);
  tell(error);
}

static void allocate(void) {
  static void *volatile kept;  /* otherwise the compiler removes the allocation */
  do kept = malloc(1 << 16); while (kept);
  __builtin_trap();
}

int main(void) {
  path = getenv("PATH_INFO");
  require("load_by_name", nn_load_by_name("m", 1, &graph));
  require("init_execution_context", nn_init_execution_context(graph, &context));
  if (is("/") && scanf("%f %f", &row[0], &row[1]) != 2) return 2;
  require("set_input", nn_set_input(context, 0, &good));
  printf("Content-Type: text/plain\n\n");
  if (is("/loop")) for (;;) __asm__ volatile("");
  if (is("/compute")) for (;;) nn_compute(context);
  if (is("/allocate")) allocate();
  if (is("/trap")) __builtin_trap();
  if (is("/wild")) pass_wild_pointers();
  if (is("/forged")) forge_handles();
  if (is("/handles")) hold_handles();
  if (!is("/")) return 0;
  require("compute", nn_compute(context));
  require("get_output", nn_get_output(context, 0, (uint8_t *)output, sizeof output, &written));
  printf("%.9g %.9g", output[0], output[1]);
  return 0;
}
