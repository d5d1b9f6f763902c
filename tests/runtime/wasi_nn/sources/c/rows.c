/* rows NAME|@FILE WIDTH: reads float32 rows from the standard input, and writes the first output of the model. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wasi_nn.h"

static uint8_t input[1 << 20], output[1 << 20], model[1 << 22];

static void require(const char *what, uint32_t number) {
  if (number == 0) return;
  fprintf(stderr, "%s: error %u\n", what, number);
  exit(10 + (int)number);
}

static uint32_t load(const char *name) {
  uint32_t graph;
  if (name[0] != '@') {
    require("load_by_name", nn_load_by_name(name, strlen(name), &graph));
    return graph;
  }
  FILE *file = fopen(name + 1, "rb");
  if (!file) { perror(name + 1); exit(3); }
  graph_builder builder = {model, fread(model, 1, sizeof model, file)};
  require("load", nn_load(&builder, 1, ONNX, CPU, &graph));
  return graph;
}

int main(int argc, char **argv) {
  if (argc != 3) { fprintf(stderr, "usage: rows NAME|@FILE WIDTH\n"); return 2; }
  uint32_t graph = load(argv[1]), context, written;
  uint32_t size = fread(input, 1, sizeof input, stdin), width = atoi(argv[2]);
  uint32_t dimensions[2] = {size / 4 / width, width};
  tensor rows = {dimensions, 2, FP32, {0}, input, size};
  require("init_execution_context", nn_init_execution_context(graph, &context));
  require("set_input", nn_set_input(context, 0, &rows));
  require("compute", nn_compute(context));
  require("get_output", nn_get_output(context, 0, output, sizeof output, &written));
  fwrite(output, 1, written, stdout);
  require("unload", nn_unload(graph));
  return 0;
}
