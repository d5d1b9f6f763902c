/* The imports of wasi_ephemeral_nn, written from the specification of its ABI. */
#include <stdint.h>

typedef struct { const uint8_t *data; uint32_t size; } graph_builder;
typedef struct {
  const uint32_t *dimensions; uint32_t rank;
  uint8_t type; uint8_t padding[3];
  const uint8_t *data; uint32_t size;
} tensor;
enum { FP16, FP32, FP64, U8, I32, I64 };
enum { ONNX = 1 };
enum { CPU = 0 };

#define NN(name) __attribute__((import_module("wasi_ephemeral_nn"), import_name(#name))) uint32_t nn_##name
NN(load)(const graph_builder *builders, uint32_t count, uint32_t encoding, uint32_t target, uint32_t *graph);
NN(load_by_name)(const char *name, uint32_t size, uint32_t *graph);
NN(load_by_name_with_config)(const char *name, uint32_t size, const char *config, uint32_t config_size, uint32_t *graph);
NN(init_execution_context)(uint32_t graph, uint32_t *context);
NN(set_input)(uint32_t context, uint32_t index, const tensor *tensor);
NN(compute)(uint32_t context);
NN(get_output)(uint32_t context, uint32_t index, uint8_t *buffer, uint32_t room, uint32_t *written);
NN(unload)(uint32_t graph);
