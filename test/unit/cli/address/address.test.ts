// What the command line says about addresses: ranges, holds, the address book and its history, against a real server.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CommandLine } from "../commandLine.ts";

const line = new CommandLine();
const { control } = line;
const weft: CommandLine["weft"] = (...args) => line.weft(...args);
before(() => line.open());
after(() => line.close());

describe("addresses", () => {
  const attach = (owner: string, range?: string) => {
    const claim = { network: "lan", host: "h7", owner, ifname: "eth0", netns: `/run/netns/${owner}` };
    const more = range === undefined ? {} : { range };
    return control.write({ verb: "attach", claim: { ...claim, ...more }, by: { role: "host", host: "h7" } });
  };
  const fails = async (code: number, text: RegExp, ...args: readonly string[]) => {
    const ran = await weft(args);
    assert.equal(ran.code, code, ran.stderr);
    assert.match(ran.stderr, text);
  };
  const works = async (text: RegExp, ...args: readonly string[]) => {
    const ran = await weft(args);
    assert.equal(ran.code, 0, ran.stderr);
    assert.match(ran.stderr + ran.stdout, text);
  };

  test("ranges are added, listed, resized and removed", async () => {
    await line.joinHost("h7", "192.0.2.7");
    const create = [
      "network",
      "create",
      "lan",
      "--subnet",
      "10.30.0.0/24",
      "--strategy",
      "next",
      "--dns",
      "10.30.0.53",
    ];
    assert.equal((await weft([...create, "--quarantine", "30"])).code, 0);
    await works(/no ranges: all of its subnets/, "network", "range", "list", "lan");
    const web = ["lan", "web", "--first", "10.30.0.10", "--size", "20", "--gateway", "10.30.0.254"];
    await works(/range web of network lan added at revision \d+; from now on/, "network", "range", "add", ...web);
    await works(/added at revision \d+\n$/, "network", "range", "add", "lan", "frames", "--size", "4");
    await fails(
      4,
      /overlaps range "web"[\s\S]*10.30.0.29/,
      "network",
      "range",
      "add",
      "lan",
      "x",
      "--first",
      "10.30.0.29",
      "--size",
      "2",
    );
    await fails(2, /"many" is not a size/, "network", "range", "add", "lan", "x", "--size", "many");
    await attach("a");
    await attach("b", "frames");
    const list = await weft(["network", "range", "list", "lan"]);
    assert.match(list.stdout, /^NAME +TYPE +FIRST +LAST +SIZE +USED\nweb +ip4 +10.30.0.10 +10.30.0.29 +20 +1\n/);
    assert.match(list.stdout, /^frames +ether +02:00:[0-9a-f:]+ +02:00:[0-9a-f:]+ +4 +1$/m);
    await works(/web \(ip4\), frames \(ether\)[\s\S]*next, quarantine 30 s/, "network", "show", "lan");
    await works(/changed at revision/, "network", "range", "resize", "lan", "web", "--size", "30", "--mtu", "1400");
    await fails(3, /no address range "none"/, "network", "range", "resize", "lan", "none", "--size", "3");
    await fails(
      4,
      /endpoint a.eth0 on h7 \(10.30.0.10, 02:00:0a:1e:00:0a\)/,
      "network",
      "range",
      "remove",
      "lan",
      "web",
    );
    await fails(2, /needs a confirmation[\s\S]*a.eth0/, "network", "range", "remove", "lan", "web", "--force");
    await works(/removed at revision/, "network", "range", "remove", "lan", "web", "--force", "--yes");
    assert.match((await weft(["endpoint", "list"])).stdout, /^a\.eth0 .* detaching$/m);
    await control.write({ verb: "detach", endpoint: "a.eth0", by: { role: "host", host: "h7" } });
    await works(/added/, "network", "range", "add", ...web);
  });

  test("holds: who asks is told; spans, expiry, release", async () => {
    const why = ["--reason", "printers", "--owner", "ops"];
    await works(
      /10.30.0.10-10.30.0.12 of network lan held for ops, until/,
      "ipam",
      "hold",
      "lan",
      "10.30.0.10-10.30.0.12",
      ...why,
    );
    await works(/until \d{4}-/, "ipam", "hold", "lan", "10.30.0.20", ...why, "--expires", "2h");
    await fails(
      4,
      /held in network "lan" \[address-held\][\s\S]*for ops: printers/,
      "ipam",
      "hold",
      "lan",
      "10.30.0.11",
      ...why,
    );
    await fails(
      2,
      /"2 hours" is not a span of time/,
      "ipam",
      "hold",
      "lan",
      "10.30.0.21",
      ...why,
      "--expires",
      "2 hours",
    );
    await works(/released/, "ipam", "release", "lan", "10.30.0.11");
    await fails(3, /10.30.0.11 is not held/, "ipam", "release", "lan", "10.30.0.11");
    assert.match(
      (await weft(["lease", "list", "--state", "held", "--no-headers"])).stdout,
      /^10.30.0.10 +lan +- +ops +- +held\n/,
    );
  });

  test("the address book, and who had what", async () => {
    await attach("web", "web");
    await control.write({ verb: "detach", endpoint: "web.eth0", by: { role: "host", host: "h7" } });
    const rows = async (...args: readonly string[]) =>
      (await weft(["lease", "list", "--network", "lan", "--no-headers", ...args])).stdout
        .trim()
        .split("\n")
        .map((row) => row.split(/ +/).filter((_, i) => i === 0 || i === 5));
    assert.deepEqual(
      (await rows()).map(([, state]) => state),
      ["held", "quarantined", "held", "held", "used"],
    );
    assert.deepEqual(await rows("--state", "gateway"), [
      ["10.30.0.1", "gateway"],
      ["10.30.0.254", "gateway"],
    ]);
    assert.equal((await rows("--owner", "ops")).length, 3);
    assert.equal((await weft(["lease", "list", "--state", "lost"])).code, 2);
    await works(/State: +quarantined\nOwner: +web.eth0[\s\S]*Note: +until/, "lease", "show", "10.30.0.11");
    await works(/State: +held\nOwner: +ops/, "lease", "show", "10.30.0.20");
    await works(/State: +free/, "lease", "show", "10.30.0.99");
    await fails(3, /10.99.0.1 is in no network/, "lease", "show", "10.99.0.1");
    await fails(3, /02:00:00:00:00:77 is in no network/, "lease", "show", "02:00:00:00:00:77");
    const [one, ...more] = JSON.parse((await weft(["lease", "show", "02:00:0a:1e:00:0b", "-o", "json"])).stdout);
    assert.deepEqual([one.address, more], ["10.30.0.11", []], "a MAC shows its own leases alone");
    await works(
      /^FROM +UNTIL +NETWORK +OWNER +HOST\n\S+ \S+ +\S+ \S+ +lan +web +h7\n$/,
      "lease",
      "history",
      "10.30.0.11",
    );
    await works(/lan +web +h7/, "lease", "history", "10.30.0.11", "--at", "today");
    await works(/No owner of 10.30.0.11 is known at that time/, "lease", "history", "10.30.0.11", "--at", "2020-02-02");
    await fails(2, /"someday" is not a time/, "lease", "history", "10.30.0.11", "--at", "someday");
    assert.equal((await weft(["network", "delete", "lan", "--force", "--yes"])).code, 0);
    assert.equal((await weft(["host", "delete", "h7"])).code, 0);
  });
});
