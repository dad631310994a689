// Every call of toxiproxy-node-client against a running causeway-fault, and what it does to a connection.

const assert = require("node:assert/strict");
const net = require("node:net");
const { Toxiproxy, ToxiproxyError } = require("toxiproxy-node-client");

function echo() {
  const server = net.createServer((connection) => {
    connection.on("error", () => {});
    connection.pipe(connection);
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

// Sends `text`, and resolves to all that comes back until it has the same length or the connection ends.
function asked(proxy, text = "ping") {
  const [host, port] = proxy.listen.split(":");
  return new Promise((resolve, reject) => {
    let answer = "";
    const connection = net.connect(Number(port), host, () => connection.write(text));
    connection.on("error", reject);
    connection.on("end", () => resolve(answer));
    connection.on("data", (data) => {
      answer += data;
      if (answer.length === text.length) {
        connection.destroy();
        resolve(answer);
      }
    });
  });
}

async function main() {
  const server = await echo();
  const upstream = `127.0.0.1:${server.address().port}`;
  const toxiproxy = new Toxiproxy(`http://${process.argv[2]}:${process.argv[3]}`);
  assert.match(await toxiproxy.getVersion(), /"version"/);

  const proxy = await toxiproxy.createProxy({ name: "echo", listen: "127.0.0.1:0", upstream });
  assert.ok(proxy.enabled);
  assert.equal(await asked(proxy), "ping");
  await assert.rejects(toxiproxy.createProxy({ name: "echo", upstream }), /409/);
  await assert.rejects(toxiproxy.get("other"), (error) => error instanceof ToxiproxyError);
  assert.deepEqual((await toxiproxy.get("echo")).toJson(), proxy.toJson());
  assert.deepEqual(Object.keys(await toxiproxy.getAll()), ["echo"]);

  const order = { name: "late", type: "latency", stream: "downstream", toxicity: 1, attributes: { latency: 150, jitter: 0 } };
  const late = await proxy.addToxic(order);
  assert.deepEqual(late.toJson(), order);
  let begun = performance.now();
  assert.equal(await asked(proxy), "ping");
  assert.ok(performance.now() - begun >= 149);
  const later = await late.update({ ...order, attributes: { latency: 250, jitter: 0 } });
  assert.equal(later.attributes.latency, 250);
  assert.deepEqual((await proxy.getToxic("late")).toJson(), later.toJson());
  begun = performance.now();
  assert.equal(await asked(proxy), "ping");
  assert.ok(performance.now() - begun >= 249);
  await later.remove();
  await assert.rejects(proxy.getToxic("late"), /404/);
  await assert.rejects(proxy.addToxic({ ...order, type: "rain" }), /400/);

  await proxy.addToxic({ name: "cut", type: "limit_data", stream: "downstream", toxicity: 1, attributes: { bytes: 2 } });
  assert.equal(await asked(proxy), "pi");
  await proxy.addToxic({ name: "reset", type: "reset_peer", stream: "upstream", toxicity: 1, attributes: { timeout: 0 } });
  await assert.rejects(asked(proxy), { code: "ECONNRESET" });
  await toxiproxy.reset();
  assert.equal(await asked(proxy), "ping");

  const down = await proxy.update({ ...proxy.toJson(), enabled: false });
  assert.equal(down.enabled, false);
  await assert.rejects(asked(proxy), { code: "ECONNREFUSED" });
  await proxy.update({ ...proxy.toJson(), enabled: true });
  assert.equal(await asked(proxy), "ping");

  const made = await toxiproxy.populate([{ name: "one", upstream, listen: "127.0.0.1:0" }, { name: "two", upstream, listen: "127.0.0.1:0" }]);
  assert.deepEqual(Object.keys(made), ["one", "two"]);
  assert.equal(await asked(made.two), "ping");
  for (const one of Object.values(await toxiproxy.getAll())) {
    await one.remove();
  }
  assert.deepEqual(await toxiproxy.getAll(), {});
  server.close();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
