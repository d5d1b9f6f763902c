// Node's @grpc/grpc-js. Arguments: `PORT PROTOS`, where PROTOS is the folder of the .proto files. Prints the results as JSON.
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [port, protos] = process.argv.slice(2);
const options = { keepCase: true, longs: String, enums: String, includeDirs: [protos] };
const { PredictionService } = grpc.loadPackageDefinition(
  loader.loadSync("tensorflow_serving.proto", options),
).tensorflow.serving;
const client = new PredictionService(`127.0.0.1:${port}`, grpc.credentials.createInsecure());

const row = { dtype: "DT_FLOAT", tensor_shape: { dim: [{ size: 1 }, { size: 2 }] }, float_val: [1, 2] };
const request = (name) => ({ model_spec: { name }, inputs: { a: row, b: row } });
const predict = (message) =>
  new Promise((resolve) => {
    client.Predict(message, { deadline: Date.now() + 30000 }, (error, answer) =>
      resolve(error ? [error.code, error.details] : answer),
    );
  });
const content = Buffer.from(new Float32Array([5, 7]).buffer);
const binary = { ...request("m"), inputs: { a: row, b: { ...row, float_val: [], tensor_content: content } } };

Promise.all([predict(request("m")), predict(binary), predict(request("x"))]).then(([answer, second, unknown]) => {
  process.stdout.write(JSON.stringify({ answer, second, unknown }));
  client.close();
});
