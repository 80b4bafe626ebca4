// How commands are written: options anywhere, each once, checked before anything is done; several names; what is not
// there is told in the words of the command line.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { CommandLine } from "./commandLine.ts";
import { normalize } from "../../../src/cli/input/argv.ts";

const line = new CommandLine();
const { control } = line;
const weft: CommandLine["weft"] = (...args) => line.weft(...args);
const nobody = { env: { WEFT_SERVER: "", WEFT_TOKEN_FILE: "" } };

before(() => line.open());
after(() => line.close());

test("options of every verb may stand before it, and --wait takes the time behind it, but nothing else", () => {
  for (const [given, read] of [
    ["--server http://h:1 network list", "network list --server http://h:1"],
    ["network --server=http://h:1 list --no-headers", "network list --no-headers --server=http://h:1"],
    ["-o json --token-file f lease list --network b", "lease list --network b -o json --token-file f"],
    ["--server u attach --netns web -- x", "attach --netns web --server u -- x"],
    ["network create a --server u", "network create a --server u"],
    ["apply -f x --wait", "apply -f x --wait=60"],
    ["apply --wait 30 -f x", "apply --wait=30 -f x"],
    ["apply --wait=30s -f x", "apply --wait=30s -f x"],
    ["network delete --wait blue", "network delete --wait=60 blue"],
    ["network delete --wait 5m blue", "network delete --wait=5m blue"],
    ["--version", "version"],
  ] as const)
    assert.deepEqual(normalize(given.split(" ")), read.split(" "), given);
});

describe("against a server", () => {
  const place = () => ["--server", line.url, "--token-file", `${line.folder}/admin.token`];

  test("the place of the server before the noun, before the verb, and behind", async () => {
    for (const words of [
      [...place(), "network", "list"],
      ["network", ...place(), "list"],
      ["-o", "json", "network", "list", ...place()],
    ])
      assert.equal((await weft(words, nobody)).code, 0, words.join(" "));
  });

  test("WEFT_TOKEN is the token itself; a flag beats it, an empty variable is none", async () => {
    const wrong = await weft(["network", "list"], { env: { WEFT_TOKEN: "w".repeat(40) } });
    assert.equal(wrong.code, 5, wrong.stderr);
    const right = { WEFT_TOKEN: `${"a".repeat(40)}\n`, WEFT_TOKEN_FILE: "/nowhere" };
    assert.equal((await weft(["network", "list"], { env: right })).code, 0);
    assert.equal((await weft(["network", "list"], { env: { WEFT_TOKEN: "" } })).code, 0);
    const [, , ...file] = place();
    assert.equal((await weft(["network", "list", ...file], { env: { WEFT_TOKEN: "w".repeat(40) } })).code, 0);
    const odd = await weft(["network", "list"], { env: { WEFT_TOKEN: "a\nb" } });
    assert.deepEqual([odd.code, odd.stdout], [5, ""]);
    assert.match(odd.stderr, /this is not a token[\s\S]*WEFT_TOKEN/);
  });

  test("an address without a scheme is refused with what was meant", async () => {
    const { code, stderr } = await weft(["network", "list"], { env: { WEFT_SERVER: "10.0.0.1:7474" } });
    assert.equal(code, 2);
    assert.match(stderr, /did you mean https:\/\/10\.0\.0\.1:7474\?/);
  });

  test("what is wrong in the options is told before anything is done", async () => {
    const before = (await control.snapshot({ role: "admin" })).revision;
    for (const words of [
      ["network", "create", "bad", "--subnet", "10.1.0.0/16", "--wait=soon"],
      ["network", "create", "bad", "--subnet", "10.1.0.0/16", "--wait=1h30"],
      ["network", "create", "bad", "--subnet", "10.1.0.0/16", "--wait", "--wait=30"],
      ["network", "create", "bad", "--subnet", "10.1.0.0/16", "--mtu", "1400", "--mtu", "1500"],
      ["network", "create", "bad", "--subnet", "10.1.0.0/16", "--cni", "--no-cni"],
      ["network", "create", "bad", "--subnet", "10.1.0.0/16", "--sg", "none", "--sg", "web"],
      ["network", "create", "bad", "--subnet", "10.1.0.0/16", "--spoofing", "constructor"],
      ["sg", "create", "bad", "--allow", "in:tcp:80,", "--wait=30"],
      ["host", "drain", "h1", "--wait=x"],
    ]) {
      const { code, stdout, stderr } = await weft(words);
      assert.deepEqual([code, stdout], [2, ""], `${words.join(" ")}: ${stderr}`);
      assert.match(stderr, /\[request-invalid\]/, words.join(" "));
      assert.match(stderr, /^ {2}where {2}--/m, words.join(" "));
    }
    assert.equal((await control.snapshot({ role: "admin" })).revision, before);
  });

  test("attach --wait asks the server first: where it cannot be waited, nothing is attached", async () => {
    const socket = `${line.folder}/agent.sock`;
    const asked: string[] = [];
    const agent = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      response.writeHead(500).end();
    });
    await new Promise<void>((resolve) => agent.listen(socket, resolve));
    // Also when an assertion fails, the test ends.
    agent.unref();
    const words = ["attach", "--netns", "web", "--network", "blue", "--agent-socket", socket];
    for (const [env, wait, code] of [
      [{ WEFT_SERVER: `unix:${line.folder}/none.sock` }, "--wait", 7],
      [{ WEFT_TOKEN: "w".repeat(40) }, "--wait", 5],
      [{}, "--wait=soon", 2],
    ] as const)
      assert.equal((await weft([...words, wait], { env })).code, code);
    assert.deepEqual(asked, []);
    // Without --wait nobody needs the server.
    assert.equal((await weft(words, { env: { WEFT_SERVER: `unix:${line.folder}/none.sock` } })).code, 1);
    assert.equal(asked.length, 1);
  });

  test("several names: each is judged and told, and one that fails makes the exit code", async () => {
    for (const name of ["d1", "d2", "d3"])
      assert.equal((await weft(["network", "create", name, "--subnet", `10.${name.slice(1)}.0.0/16`])).code, 0);
    const { code, stdout, stderr } = await weft(["network", "delete", "d1", "nope", "d3"]);
    assert.deepEqual([code, stdout], [3, ""]);
    assert.match(stderr, /network d1 deleted[\s\S]*no network "nope" \[network-unknown\][\s\S]*network d3 deleted/);
    assert.deepEqual(
      (await control.snapshot({ role: "admin" })).networks.map(({ name }) => name),
      ["d2"],
    );
    assert.equal((await weft(["network", "delete", "d2", "d2"])).code, 2);
    assert.equal((await weft(["network", "delete", "d2"])).code, 0);
    for (const noun of ["sg", "pool", "host", "endpoint"])
      assert.match((await weft([noun, "delete", "x", "y"])).stderr, /"x"[\s\S]*"y"/, noun);
  });

  test("what is not there is told as such, in the words of the command line", async () => {
    for (const [words, reason, see] of [
      ["network show nope", "network-unknown", "weft network list"],
      ["host show nope", "host-unknown", "weft host list"],
      ["host accept-history nope", "host-unknown", "weft host list"],
      ["vrf show nope", "vrf-unknown", "weft vrf list"],
      ["pool show nope", "pool-unknown", "weft pool list"],
      ["sg show nope", "group-unknown", "weft sg list"],
      ["network migration show nope", "migration-unknown", "weft network migration list"],
      ["network members nope", "network-unknown", "weft network list"],
      ["ipam map nope", "network-unknown", "weft network list"],
      ["lease list --network nope", "network-unknown", "weft network list"],
      ["lease list --host nope", "host-unknown", "weft host list"],
      ["lease show 10.1.1.1 --network nope", "network-unknown", "weft network list"],
      ["lease history 10.1.1.1 --network nope", "network-unknown", "weft network list"],
      ["endpoint list --network nope", "network-unknown", "weft network list"],
      ["endpoint list --host nope", "host-unknown", "weft host list"],
    ] as const) {
      const { code, stdout, stderr } = await weft(words.split(" "));
      assert.deepEqual([code, stdout], [3, ""], `${words}: ${stderr}`);
      assert.match(stderr, new RegExp(`\\[${reason}\\]`), words);
      assert.match(stderr, new RegExp(`do {5}see \`?${see}`), words);
      assert.doesNotMatch(stderr, /GET \//, words);
    }
    const file = { input: "kind: network\nname: n\nspec: {subnets: [{cidr: 10.9.0.0/16}]}\n" };
    for (const verb of ["plan", "apply"])
      assert.match((await weft([verb, "-f", "-", "--prune-vrf", "nope"], file)).stderr, /\[vrf-unknown\]/);
    assert.match((await weft(["plan", "-f", "-", "--host", "nope"], file)).stderr, /\[host-unknown\]/);
  });
});
