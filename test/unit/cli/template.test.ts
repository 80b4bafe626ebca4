// `weft template` as people use it, against a real server.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CommandLine } from "./commandLine.ts";

/** What is looked at in what the CLI prints as JSON. */
type Shown = { readonly name: string; readonly spec: ReturnType<typeof JSON.parse> };

const line = new CommandLine();
const run = async (...args: string[]) => {
  const { code, stdout, stderr } = await line.weft(args);
  assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
  return stdout + stderr;
};
const isRefused = async (code: number, why: RegExp, ...args: string[]) => {
  const ran = await line.weft(args);
  assert.equal(ran.code, code, ran.stderr);
  assert.match(ran.stderr, why);
};

before(() => line.open());
after(() => line.close());

test("networks from the built-in template: one, several, with inputs and fields, and only in words", async () => {
  assert.match(await run("template", "list"), /^NAME +DRIVER.*\nprivate-ipv4 +VXLAN +pool private-ipv4 +prefix, dns/);
  assert.match(
    await run("template", "show", "private-ipv4"),
    /prefix +number +pool\.prefix.*\n[\s\S]*masquerade: true/,
  );
  const dry = await run("template", "instantiate", "private-ipv4", "lab", "--dry-run");
  assert.match(dry, /^network lab would be created: 10\.64\.0\.0\/24, gateway 10\.64\.0\.1, VRF lab\n/);
  assert.match(await run("template", "instantiate", "private-ipv4", "lab"), /^network lab created at revision \d+: /);
  const several = await run("template", "instantiate", "private-ipv4", "l", "--count", "2", "--input", "prefix=26");
  assert.match(several, /^network l-1 .*\/26.*\nnetwork l-2 .*VRF l-2\n$/);
  await run("template", "instantiate", "private-ipv4", "own", "--mtu", "1300", "--range", "10.64.0.10+20");
  const { spec } = await line.json<Shown>("network", "show", "own");
  assert.deepEqual([spec.mtu, spec.ranges[0].first, spec.ranges[0].size], [1300, "10.64.0.10", 20]);
  await isRefused(4, /there is a network "lab" already/, "template", "instantiate", "private-ipv4", "lab");
  await isRefused(3, /no template "x"/, "template", "instantiate", "x");
  const twice = ["--input", "dns=1.1.1.1", "--input", "dns=9.9.9.9"];
  await isRefused(2, /input dns is given twice/, "template", "instantiate", "private-ipv4", ...twice);
  await isRefused(2, /"5" is no range/, "template", "instantiate", "private-ipv4", "--range", "5");
});

test("templates of one's own: made, changed, copied, named anew, applied from a file, deleted", async () => {
  const made = [
    "--pool",
    "private-ipv4",
    "--define",
    "size:number:pool.prefix=27",
    "--restrict",
    "mtu",
    "--sg",
    "none",
  ];
  assert.match(await run("template", "create", "small", ...made), /template small created at revision \d+\n$/);
  assert.match(await run("template", "create", "bare", "--mtu", "1400"), /it has no addresses/);
  await isRefused(4, /there is a template "small" already/, "template", "create", "small");
  assert.match(await run("template", "instantiate", "small"), /^network small-1 created .*\/27/);
  assert.match(await run("template", "update", "small", "--dns", "10.0.0.53"), /template small changed/);
  const { spec } = await line.json<Shown>("template", "show", "small");
  assert.deepEqual([spec.network.dns, spec.network.securityGroups, spec.restricted], [["10.0.0.53"], [], ["mtu"]]);
  await isRefused(2, /no change is given/, "template", "update", "small");
  await isRefused(2, /"size" is no input/, "template", "create", "t", "--define", "size");
  assert.match(await run("template", "clone", "small", "copy"), /template copy created .* as small is/);
  assert.match(await run("template", "rename", "copy", "other"), /template copy is called other since/);
  await isRefused(5, /keeps its name/, "template", "rename", "private-ipv4", "x");
  const { stdout } = await line.weft(["template", "list", "-o", "yaml"]);
  assert.match((await line.weft(["apply", "-f", "-"], { input: stdout })).stderr, /nothing to change/);
  await run("template", "delete", "small", "other", "bare");
  assert.deepEqual(
    (await line.json<Shown[]>("template", "list")).map(({ name }) => name),
    ["private-ipv4"],
  );
});
