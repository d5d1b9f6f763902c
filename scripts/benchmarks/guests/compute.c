/* compute MODEL COUNT: reads one row of float32 from the standard input, computes COUNT times, and prints the
   microseconds of one call. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "wasi_nn.h"

static void require(const char *call, uint32_t error) {
  if (error == NN_SUCCESS) return;
  fprintf(stderr, "%s: error %u\n", call, error);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

int main(int argc, char **argv) {
  static uint8_t row[1 << 16];
  if (argc != 3) return 2;
  uint32_t size = fread(row, 1, sizeof row, stdin), count = atoi(argv[2]);
  uint32_t graph, context, dimensions[] = {1, size / sizeof(float)};
  nn_tensor input = {dimensions, 2, NN_FP32, {0}, row, size};
  require("load_by_name", nn_load_by_name(argv[1], strlen(argv[1]), &graph));
  require("init_execution_context", nn_init_execution_context(graph, &context));
  require("set_input", nn_set_input(context, 0, &input));
  double from = now();
  for (uint32_t each = 0; each < count; each++) require("compute", nn_compute(context));
  printf("%.3f\n", (now() - from) / count);
  return 0;
}
