// A new kind is a file and a row: with nothing else it is admitted, served, described, watched by the hosts that it
// concerns, and has its commands.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Host, Network } from "../../../src/model/resource.ts";
import "./row.ts";

const { CommandLine } = await import("../cli/commandLine.ts");
const { Reader, openLab, sorted, v4 } = await import("../control/lab.ts");
const { open, closeAll } = await import("../api/lab.ts");
const line = new CommandLine();
before(() => line.open());
after(async () => {
  await line.close();
  await closeAll();
});

const subnet = (cidr: string) => ({ spec: { subnets: [{ cidr }] } });
const note = (network: string, text: string) => ({ spec: { network, text } });

test("the API takes it, by its references and its own rule, and describes it", async () => {
  const { ask } = await open();
  const lost = await ask("PUT", "/v1/notes/a", note("blue", "x"));
  assert.deepEqual([lost.status, lost.body.reason, lost.body.where], [404, "network-unknown", "spec.network"]);
  await ask("PUT", "/v1/networks/blue", subnet("10.7.0.0/24"));
  const made = await ask("PUT", "/v1/notes/a", note("blue", " beware "));
  assert.equal(made.status, 201);
  assert.deepEqual(made.body.spec, { urgency: "low", network: "blue", text: "beware" });
  const twin = await ask("PUT", "/v1/notes/b", note("blue", "beware"));
  assert.deepEqual([twin.status, twin.body.where], [409, "spec.text"]);
  assert.equal((await ask("PUT", "/v1/notes/a", { spec: { network: "blue" } })).body.where, "spec.text");
  assert.equal((await ask("PUT", "/v1/notes/a", note("blue", "x"), { headers: { "if-none-match": "*" } })).status, 412);
  assert.deepEqual((await ask("GET", "/v1/notes/b")).body.what, 'there is no note "b"');
  assert.deepEqual((await ask("GET", "/v1/notes")).body.items, [made.body]);
  assert.deepEqual((await ask("GET", "/v1/snapshot")).body.notes, [made.body]);
  const { paths, components } = (await ask("GET", "/openapi.json")).body;
  assert.deepEqual(Object.keys(paths["/v1/notes/{name}"]), ["get", "put", "delete"]);
  for (const name of ["Note", "NotePage", "NotePut"]) assert.ok(name in components.schemas, name);
});

test("what it refers to does not go without it: refused, or both with force", async () => {
  const { ask } = await open();
  await ask("PUT", "/v1/networks/blue", subnet("10.7.0.0/24"));
  await ask("PUT", "/v1/notes/a", note("blue", "x"));
  for (const refused of [
    await ask("DELETE", "/v1/networks/blue"),
    await ask("POST", "/v1/apply", { resources: [], pruneVrf: "blue" }),
  ])
    assert.deepEqual([refused.body.reason, refused.body.blockers], ["in-use", ["note/a"]]);
  assert.equal((await ask("DELETE", "/v1/vrfs/blue?force=true")).status, 200);
  assert.equal((await ask("GET", "/v1/notes/a")).status, 404);
  await ask("PUT", "/v1/networks/blue", subnet("10.7.0.0/24"));
  await ask("PUT", "/v1/notes/a", note("blue", "x"));
  assert.equal((await ask("DELETE", "/v1/notes/a")).status, 200);
  assert.equal((await ask("DELETE", "/v1/networks/blue")).status, 200);
});

test("hosts that carry its network see it, when it changes and when they begin and cease to", async () => {
  const lab = await openLab();
  await lab.put("blue", v4("10.7.0.0/24"));
  await lab.put("red", { ...v4("10.8.0.0/24"), vrf: "red" });
  for (const n of [1, 2]) await lab.join(n);
  const viewer = { role: "host", host: "h1" } as const;
  const reader = await Reader.open(lab.control, viewer);
  const put = (name: string, network: string, text: string) =>
    lab.control.write({ verb: "put", kind: "note" as "vrf", name, ...note(network, text) } as never);
  const seen = async () => {
    const snapshot = await lab.snapshot(viewer);
    await reader.readTo(snapshot.revision);
    assert.deepEqual(reader.state, sorted(snapshot));
    return (snapshot as unknown as { readonly notes: readonly (Host | Network)[] }).notes.map(({ name }) => name);
  };
  await put("a", "blue", "x");
  await put("b", "red", "x");
  assert.deepEqual(await seen(), []);
  await lab.attach("blue", "h1", "web");
  assert.deepEqual(await seen(), ["a"]);
  await put("a", "red", "y");
  assert.deepEqual(await seen(), []);
  await put("a", "blue", "y");
  await lab.attach("blue", "h2", "db");
  // A network that moves to a VRF that the host carries takes its notes along.
  await lab.put("red", { ...v4("10.8.0.0/24"), vrf: "blue" });
  assert.deepEqual((await seen()).toSorted(), ["a", "b"]);
  await lab.control.write({ verb: "detach", endpoint: "web.eth0", by: viewer });
  assert.deepEqual(await seen(), []);
  await reader.close();
});

test("the command line applies, lists, shows, completes and deletes it", async () => {
  const env = { NODE_OPTIONS: `--import=${new URL("./row.ts", import.meta.url).href}` };
  const weft = async (args: string, input = "", code = 0) => {
    const ran = await line.weft(args.split(" "), { env, input });
    assert.equal(ran.code, code, `${args}: ${ran.stderr}`);
    return ran;
  };
  const file = [
    { kind: "note", name: "a", ...note("blue", "beware") },
    { kind: "network", name: "blue", ...subnet("10.7.0.0/24") },
  ];
  assert.match(
    (await weft("apply -f -", JSON.stringify(file))).stdout,
    /^\+ network\/blue created\n\+ note\/a created\n/m,
  );
  assert.equal((await weft("note list")).stdout, "NAME   NETWORK   TEXT\na      blue      beware\n");
  assert.match((await weft("note show a")).stdout, /^Network: +blue\nText: +beware$/m);
  assert.match((await weft("apply -f -", (await weft("note list -o yaml")).stdout)).stderr, /nothing to change/);
  await weft("note create -f -", JSON.stringify({ kind: "note", name: "b", ...note("blue", "hello") }));
  assert.match((await weft("note create -f -", JSON.stringify(file), 2)).stderr, /network "blue" is not a note/);
  assert.equal((await weft("completion words -- note show ")).stdout, "a\nb\n");
  assert.match((await weft("--help")).stdout, /^ {2}note +notes: list, show, create, delete$/m);
  assert.match((await weft("network delete blue", "", 4)).stderr, /in the way\n {4}note\/a\n {4}note\/b\n/);
  assert.match((await weft("note delete a b")).stderr, /note a deleted at revision/);
  await weft("network delete blue");
});
