// Answers a request with its method, its parameters, and its body in reverse, through the shim for WASI.
const body = new ArrayBuffer(65536);
const size = process.stdin.read(body) as i32;
const answer = body.slice(0, size);
Uint8Array.wrap(answer).reverse();
console.log("Status: 201 Created");
console.log("Content-Type: text/plain");
console.log("");
console.log(process.env.get("REQUEST_METHOD") + " " + process.argv.slice(1).join(","));
process.stdout.write(answer);
