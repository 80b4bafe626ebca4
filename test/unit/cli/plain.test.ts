// What a newcomer meets first: a word that is wrong is named, and what did not happen is not told as done.
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { CommandLine } from "./commandLine.ts";

const line = new CommandLine();
const weft: CommandLine["weft"] = (...args) => line.weft(...args);

before(() => line.open());
after(() => line.close());

async function fails(words: string, code: number, text: RegExp): Promise<void> {
  const answer = await weft(words.split(" "));
  assert.equal(answer.code, code, `${words}: ${answer.stderr}`);
  assert.match(answer.stderr, text, words);
}

test("what is so already is not told as changed", async () => {
  assert.equal((await weft("network create same --subnet 10.20.0.0/24 --description x".split(" "))).code, 0);
  const again = "nothing to change, it is so already";
  assert.match((await weft("network edit same --description x".split(" "))).stderr, new RegExp(again));
  assert.match((await weft("network edit same --description y".split(" "))).stderr, /changed at revision \d+: descr/);
  assert.match((await weft("vrf edit same --no-host-access".split(" "))).stderr, new RegExp(again));
  assert.equal((await weft("sg create idle --allow in:tcp:80".split(" "))).code, 0);
  assert.match((await weft("sg edit idle --no-keep-flows".split(" "))).stderr, /1 rule\n|already/);
  await fails("sg edit idle", 2, /no change is given/);
  await line.joinHost("h1", "192.0.2.1");
  const claim = { network: "same", host: "h1", owner: "web", ifname: "eth0", netns: "/run/netns/web" };
  await line.control.write({ verb: "attach", claim, by: { role: "host", host: "h1" } });
  for (const [words, first] of [
    ["network range add same a --first 10.20.0.10 --size 5", /added/],
    ["network range resize same a --size 6", /changed/],
    ["network quota same me=3", /changed/],
    ["endpoint set web --sg idle", /changed/],
  ] as const) {
    assert.match((await weft(words.split(" "))).stderr, first, words);
    if (!words.includes(" add ")) assert.match((await weft(words.split(" "))).stderr, new RegExp(again), words);
  }
});

test("a subnet that changes is told from what to what", async () => {
  assert.equal((await weft("network create moved --subnet 10.21.0.0/24".split(" "))).code, 0);
  const { stderr } = await weft("network edit moved --subnet 10.21.0.0/16".split(" "));
  assert.match(stderr, /subnets: 10\.21\.0\.0\/24 -> 10\.21\.0\.0\/16/);
});

test("a VRF that a network brings with it is told", async () => {
  const create = (name: string, subnet: string) =>
    weft(`network create ${name} --vrf typo --subnet ${subnet}`.split(" "));
  assert.match((await create("first", "10.23.0.0/24")).stderr, /in the new VRF "typo"/);
  assert.doesNotMatch((await create("second", "10.24.0.0/24")).stderr, /new VRF/);
});

test("a misspelt option is named before one that is missing", async () => {
  await fails("attach --netns x --netwrk lab", 2, /unknown option '--netwrk'[\s\S]*--network/);
  await fails("attach --netns x", 2, /required option '--network <name>'/);
  await fails("plan --fil x", 2, /unknown option '--fil'/);
});

test("help of what is not there is refused; help of a verb is the verb's", async () => {
  for (const words of ["help nope", "nope --help", "help network nope", "network nope --help"])
    await fails(words, 2, /unknown command 'nope'/);
  assert.match((await weft(["help", "network", "create"])).stdout, /^Usage: weft network create/);
  assert.match((await weft(["help"])).stdout, /^Usage: weft \[/);
});

test("what is given is answered in the same words", async () => {
  await fails("status --wait=path", 2, /--wait=paths/);
  await fails("network create x --subnet 10.1.0.0/16 --wait=soon", 2, /where {2}--wait/);
  await fails("sg delete nope", 3, /see `?weft sg list/);
  await fails("attach --netns a --pid 1 --network b", 2, /both --netns and --pid/);
  await fails("host accept-history h1 --all", 2, /both names and --all/);
  await fails("network create x --subnet 10.1.0.0/16 --mtu abc", 2, /like --mtu=1400/);
  await fails("network create x --subnet 10.1.0.0/16 --mtu 5", 2, /do {5}choose at least \d+/);
  await fails(`apply -f ${line.folder}`, 2, /it is a directory/);
  await fails(`apply -f ${line.folder}/none.yaml`, 2, /there is no such file/);
  assert.match((await weft(["lease", "list", "--owner", "nope"])).stdout, /^$|you asked for/);
});

test("one host alone has no way to try, and is not tried", async () => {
  await line.joinHost("p1", "172.31.9.1");
  await line.joinHost("p2", "172.31.9.2");
  const { code, stderr } = await weft(["host", "preflight", "--host", "p1"]);
  assert.equal(code, 2, stderr);
  assert.match(stderr, /do {5}name another: --host p1 --host OTHER/);
  assert.doesNotMatch(stderr, /trying/);
});

test("what is wrong with the server is told before a missing token", async () => {
  const nowhere = ["--token-file", join(line.folder, "none")];
  const unix = await weft(["network", "list", "--server", "unix:/nonexist", ...nowhere]);
  assert.deepEqual([unix.code, /cannot reach the server/.test(unix.stderr)], [7, true], unix.stderr);
  const odd = await weft(["network", "list", "--server", "foo", ...nowhere]);
  assert.deepEqual([odd.code, /not the address of a server/.test(odd.stderr)], [2, true], odd.stderr);
  assert.equal((await weft(["version", "--server", "unix:/nonexist"])).code, 7);
});

test("a daemon refuses an address before it makes anything", async () => {
  const directory = join(line.folder, "made");
  await fails(`server --listen foo --data-dir ${directory}`, 2, /not an address to listen on/);
  assert.equal(existsSync(directory), false);
});

test("a file of something else is not taken for a DC/OS configuration", async () => {
  const file = join(line.folder, "cluster.yaml");
  writeFileSync(file, "chef: {continuum: {vxlan_enabled: true}}\n");
  await fails(`import dcos ${file}`, 2, /none of the keys/);
});
