/* The imports of the module wasi_ephemeral_nn that the guest needs. Source: WebAssembly/wasi-nn, wasi-nn.witx. */
#include <stdint.h>

typedef struct {
  const uint32_t *dimensions;
  uint32_t rank;
  uint8_t type;
  uint8_t padding[3];
  const uint8_t *data;
  uint32_t size; /* of the data, in bytes */
} nn_tensor;

enum { NN_FP32 = 1 };
enum { NN_SUCCESS = 0, NN_BUSY = 4 };

#define NN(name) __attribute__((import_module("wasi_ephemeral_nn"), import_name(#name))) uint32_t nn_##name
NN(load_by_name)(const char *name, uint32_t size, uint32_t *graph);
NN(init_execution_context)(uint32_t graph, uint32_t *context);
NN(set_input)(uint32_t context, uint32_t index, const nn_tensor *tensor);
NN(compute)(uint32_t context);
NN(get_output)(uint32_t context, uint32_t index, uint8_t *output, uint32_t room, uint32_t *written);
