// npm's package cloudevents. Prints its results as JSON. Arguments:
//   translate MESSAGES   a JSON list of messages `{headers, body}`; their bodies are base64. The events that the package
//                        reads in them, and its own events with the messages that it writes of them
//   emit PORT            sends events to the server, and prints the events that the package reads in the responses
const { CloudEvent, HTTP, Mode, emitterFor, httpTransport } = require("cloudevents");

const time = "2026-04-05T17:31:00.000Z";
const own = [
  { id: "1", source: "/js", type: "t", time, data: { inputs: [[1, 2.5]] } },
  { id: "2", source: "/js", type: "t", time, subject: "s", flag: true, count: 7, datacontenttype: "text/plain", data: "€" },
  { id: "3", source: "/js", type: "t", time, datacontenttype: "application/octet-stream", data: Buffer.from([0, 255]) },
  { id: "4", source: "/js", type: "t", time },
].map((each) => new CloudEvent(each));

const print = (results) => process.stdout.write(JSON.stringify(results));
const read = (message) => {
  const found = HTTP.toEvent(message);
  return Array.isArray(found) ? found.map((each) => each.toJSON()) : found.toJSON();
};
const decoded = ({ headers, body }) => ({ headers, body: Buffer.from(body, "base64").toString() });
const encoded = ({ headers, body }) => ({ headers, body: Buffer.from(body ?? "").toString("base64") });

const translate = (messages) =>
  print({
    read: JSON.parse(messages).map(decoded).map(read),
    binary: own.map((event) => encoded(HTTP.binary(event))),
    structured: own.map((event) => encoded(HTTP.structured(event))),
  });

const emit = async (port) => {
  const answers = {};
  for (const mode of [Mode.BINARY, Mode.STRUCTURED]) {
    const send = emitterFor(httpTransport(`http://127.0.0.1:${port}/`), { mode });
    answers[mode] = read(await send(new CloudEvent({ ...own[0].toJSON(), id: mode })));
  }
  print(answers);
};

const [call, argument] = process.argv.slice(2);
({ translate, emit })[call](argument);
