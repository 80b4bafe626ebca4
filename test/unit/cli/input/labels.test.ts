// Labels on the command line and in lists: set, changed, taken away and selected, of networks, hosts and endpoints.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CommandLine } from "../commandLine.ts";
import { mergedLabels, newLabels } from "../../../../src/cli/input/labels.ts";
import { Fault } from "../../../../src/model/fault.ts";

const line = new CommandLine();
const { control } = line;
const ADMIN = { role: "admin" } as const;
const claim = (n: number) => ({ host: `h${n}`, underlay: `192.0.2.${n}`, underlayMtu: 1500, hostPrefixes: [] });
const web = { network: "blue", host: "h1", ifname: "eth0", netns: "/n" };
const weft = async (words: string) => {
  const ran = await line.weft(words.split(" "));
  assert.equal(ran.code, 0, `${words}: ${ran.stderr}`);
  return ran.stdout;
};

before(async () => {
  await line.open();
  for (const n of [1, 2]) await control.join(claim(n), "j".repeat(40));
});
after(() => line.close());

test("words set, change and take away; each key once", () => {
  assert.deepEqual(newLabels(["b=2", "a=", "c=x"]), { a: "", b: "2", c: "x" });
  assert.deepEqual(mergedLabels({ a: "1", b: "2" }, ["b-", "c=3"]), { a: "1", c: "3" });
  assert.deepEqual(mergedLabels({ a: "1" }, ["none"]), {});
  for (const words of [["a-"], ["none", "a=b"], ["a"]])
    assert.throws(
      () => newLabels(words),
      (error) => error instanceof Fault && error.reason === "request-invalid",
    );
  for (const words of [["a"], ["=x"], ["a=1", "a-"]])
    assert.throws(
      () => mergedLabels({}, words),
      (error) => error instanceof Fault && error.reason === "request-invalid",
    );
  assert.throws(
    () => newLabels(["a=-"]),
    (error) => error instanceof Fault && error.reason === "label-invalid",
  );
});

test("networks and hosts: made with labels, edited, listed by a selector", async () => {
  await weft("network create blue --subnet 10.7.0.0/24 --label tier=web --label env=prod");
  await weft("network create green --subnet 10.8.0.0/24");
  await weft("network edit blue --label env=test --label tier- --label own=");
  assert.equal((await line.weft(["network", "edit", "green", "--label", "bad key=1"])).code, 2);
  await weft("network edit blue --mtu 1400");
  const { spec } = (await control.find("network", "blue", ADMIN)) ?? assert.fail();
  assert.deepEqual(spec.labels, { env: "test", own: "" });
  assert.match(await weft("network list -l env -o wide"), /LABELS[^]*blue.*env=test, own=/);
  assert.equal(await weft("network list -l !env -o name"), "network/green\n");
  assert.match(await weft("network show blue"), /Labels: +env=test, own=/);
  await weft("network edit blue --label none");
  assert.equal((await control.find("network", "blue", ADMIN))?.spec.labels, undefined);
  await weft("host set h1 --label rack=r7");
  await control.join(claim(1), undefined).catch(() => undefined);
  assert.equal(await weft("host list -l rack=r7 -o name"), "host/h1\n");
  assert.match((await line.weft(["host", "list", "-l", "rack in r7"])).stderr, /from column 9 on/);
});

test("templates have labels, too", async () => {
  const spec = { network: { ipam: "global" as const }, labels: { team: "shop" } };
  await control.write({ verb: "put", kind: "template", name: "small", spec });
  assert.equal(await weft("template list -l team=shop -o name"), "template/small\n");
});

test("endpoints: claimed with labels, changed, and their addresses selected", async () => {
  for (const [owner, app] of [
    ["a", "shop"],
    ["b", "mail"],
  ] as const)
    await control.write({ verb: "attach", claim: { ...web, owner, labels: { app } }, by: ADMIN });
  assert.equal(await weft("endpoint list -l app=shop -o name"), "endpoint/a.eth0\n");
  assert.equal(await weft("lease list -l app!=shop -o name"), "10.7.0.3\n");
  await weft("endpoint set a --label app=mail --label x=1");
  assert.equal(await weft("endpoint list -l app=shop -o name"), "");
  assert.match(await weft("endpoint show a"), /Labels: +app=mail, x=1/);
  await control.write({ verb: "attach", claim: { ...web, owner: "a" }, by: ADMIN });
  assert.deepEqual((await control.find("endpoint", "a.eth0", ADMIN))?.spec.labels, { app: "mail", x: "1" });
});

test("address ranges: made with labels, changed, and listed by a selector", async () => {
  await weft("network create ranged --subnet 10.9.0.0/24");
  await weft("network range add ranged web --first 10.9.0.10 --size 10 --label tier=web --label old=");
  await weft("network range add ranged rest --first 10.9.0.50 --size 10");
  assert.equal(await weft("network range list ranged -l tier=web -o name"), "web\n");
  assert.equal(await weft("network range list ranged -l !old -o name"), "rest\n");
  await weft("network range resize ranged web --label old- --label tier=db");
  assert.match(await weft("network range list ranged -o wide"), /LABELS[^]*web .*tier=db\n/);
  await weft("network range resize ranged web --label none");
  const ranges = (await control.find("network", "ranged", ADMIN))?.spec.ranges ?? [];
  assert.deepEqual(
    ranges.map(({ labels }) => labels),
    [undefined, undefined],
  );
  const bad = await line.weft([
    "network",
    "range",
    "add",
    "ranged",
    "x",
    "--first",
    "10.9.0.90",
    "--size",
    "1",
    "--label",
    "a b=1",
  ]);
  assert.equal(bad.code, 2, bad.stderr);
});
