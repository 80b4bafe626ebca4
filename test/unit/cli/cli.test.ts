// The command line as people and scripts meet it: bin/weft as a process of its own, against a real server over a
// unix socket. What is asserted is what arrives: exit codes, what is on stdout and what on stderr, and what the
// server then has.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { CommandLine } from "./commandLine.ts";

const line = new CommandLine();
const { folder, control } = line;
const weft: CommandLine["weft"] = (...args) => line.weft(...args);
const json: CommandLine["json"] = (...args) => line.json(...args);
const joinHost: CommandLine["joinHost"] = (...args) => line.joinHost(...args);

/** What these tests look at in what the CLI prints as JSON. */
type Printed = { readonly name: string; readonly spec: Readonly<Record<string, unknown>> };

const NOTHING = { errors: [], networks: [], conditions: [], hostPrefixes: [], driftRepaired: 0, objects: 5 };
const QUIET = { ...NOTHING, bootId: "b", version: "1" };

async function report(host: string, revision: number): Promise<void> {
  await control.report({ ...QUIET, host, revision });
}

before(() => line.open());
after(() => line.close());

describe("usage", () => {
  test("help is data, and names every noun", async () => {
    const { code, stdout, stderr } = await weft(["--help"]);
    assert.equal(code, 0);
    assert.equal(stderr, "");
    for (const noun of ["network", "endpoint", "host", "lease", "vrf", "apply", "plan", "attach", "status", "server"]) {
      assert.match(stdout, new RegExp(`^ {2}${noun}\\b`, "m"));
    }
    assert.match((await weft(["network", "create", "--help"])).stdout, /--subnet <cidr>/);
    assert.match((await weft(["help", "network"])).stdout, /^ {2}list, ls|^ {2}list\|ls|^ {2}list/m);
  });

  test("the overview names every verb of a noun", async () => {
    const overview = (await weft(["--help"])).stdout.replaceAll(/\n {6,}/g, " ");
    const nouns = /Resources:\n([\s\S]*?)\n\n/.exec(overview)?.[1]?.split("\n") ?? [];
    assert.ok(nouns.length >= 12);
    await Promise.all(
      nouns.map(async (about) => {
        const [noun = ""] = about.trim().split(/[ ,]/);
        const { stdout } = await weft([noun, "--help"]);
        const verbs = [...(stdout.split("Commands:")[1] ?? "").matchAll(/^ {2}([a-z-]+)/gm)].map(
          ([, verb = ""]) => verb,
        );
        const unsaid = verbs.filter((verb) => verb !== "help" && !new RegExp(`\\b${verb}\\b`).test(about));
        assert.deepEqual(unsaid, [], noun);
      }),
    );
  });

  test("a misspelt word is 2, with the nearest one", async () => {
    const noun = await weft(["netwrok", "list"]);
    assert.deepEqual([noun.code, noun.stdout], [2, ""]);
    assert.match(noun.stderr, /unknown command 'netwrok'[\s\S]*network/);
    const verb = await weft(["network", "lsit"]);
    assert.equal(verb.code, 2);
    assert.match(verb.stderr, /list/);
    assert.equal((await weft(["network", "list", "--colour"])).code, 2);
    assert.equal((await weft(["network", "list", "-o", "xml"])).code, 2);
    assert.equal((await weft(["network", "show"])).code, 2);
    assert.equal((await weft(["network", "create", "x", "--subnet", "10.1.0.0/16", "--mtu", "big"])).code, 2);
  });

  test("version says both sides", async () => {
    assert.match((await weft(["--version"])).stdout, /^weft \d+\.\d+\.\d+\nserver 9\.9\.9\n$/);
  });
});

describe("finding the server", () => {
  test("nothing listens: 7, and what to do", async () => {
    const { code, stderr } = await weft(["network", "list"], { env: { WEFT_SERVER: `unix:${folder}/none.sock` } });
    assert.equal(code, 7);
    assert.match(stderr, /cannot reach the server[\s\S]* do {5}/);
  });

  test("a wrong token: 5; a flag beats the environment", async () => {
    const env = { WEFT_TOKEN_FILE: join(folder, "wrong.token") };
    assert.equal((await weft(["network", "list"], { env })).code, 5);
    assert.equal((await weft(["network", "list", "--token-file", join(folder, "admin.token")], { env })).code, 0);
    assert.equal((await weft(["network", "list"], { env: { WEFT_TOKEN_FILE: join(folder, "none") } })).code, 5);
  });
});

describe("networks", () => {
  test("create, list, show, edit, delete", async () => {
    const created = await weft(["network", "create", "blue", "--subnet", "10.7.0.0/16", "--host-prefix", "24"]);
    assert.deepEqual([created.code, created.stdout], [0, ""], created.stderr);
    assert.match(created.stderr, /^network blue created at revision \d+: 10\.7\.0\.0\/16 in \/24s\n$/);

    const list = await weft(["net", "ls"]);
    assert.match(
      list.stdout,
      /^NAME +SUBNETS +IPAM +VNI +VRF +ENABLED\nblue +10\.7\.0\.0\/16 in \/24s +local +\d+ +blue +yes\n$/,
    );
    assert.equal(list.stdout.includes("\u001b"), false);
    assert.match((await weft(["network", "list", "--no-headers"])).stdout, /^blue /);
    assert.equal((await weft(["network", "list", "-o", "name"])).stdout, "network/blue\n");
    assert.deepEqual((await json<Printed[]>("network", "list"))[0]?.spec["subnets"], [
      { cidr: "10.7.0.0/16", hostPrefix: 24 },
    ]);
    assert.match((await weft(["network", "show", "blue"])).stdout, /^Name: +blue$/m);

    assert.equal((await weft(["network", "edit", "blue", "--description", "for tests", "--no-masquerade"])).code, 0);
    const { spec } = await json<Printed>("network", "show", "blue");
    assert.deepEqual([spec["description"], spec["masquerade"]], ["for tests", false]);
    assert.equal((await weft(["network", "edit", "blue"])).code, 2);

    assert.equal((await weft(["network", "delete", "blue"])).code, 0);
    assert.deepEqual(await json("network", "list"), []);
  });

  test("limits: given, shown, changed one direction at a time, refused 2", async () => {
    const made = await weft([
      "network",
      "create",
      "slow",
      "--subnet",
      "10.77.0.0/24",
      "--inbound",
      "avg=10mbit,burst=64kB",
    ]);
    assert.equal(made.code, 0, made.stderr);
    assert.equal((await weft(["network", "edit", "slow", "--outbound", "avg=1mbit"])).code, 0);
    const shown = await weft(["network", "show", "slow"]);
    assert.match(shown.stdout, /Inbound: +10mbit, burst 64kB \(from network\)\n.*Outbound: +1mbit \(from network\)/);
    const refused = await weft(["network", "edit", "slow", "--inbound", "avg=10mbps"]);
    assert.deepEqual([refused.code, refused.stdout], [2, ""]);
    assert.match(refused.stderr, /"10mbps" is not a rate \[qos-invalid\]\n +where +spec\.qos\.inbound\.average/);
    assert.equal((await weft(["network", "delete", "slow", "--yes"])).code, 0);
  });

  test("refusals: not found 3, conflict 4, invalid 2, each with what to do", async () => {
    assert.equal((await weft(["network", "create", "red", "--subnet", "10.9.0.0/16"])).code, 0);
    const taken = await weft(["network", "create", "red", "--subnet", "10.9.0.0/16"]);
    assert.equal(taken.code, 4);
    assert.match(
      taken.stderr,
      /there is a network "red" already \[name-taken\]\n {2}where {2}network\/red\n {2}do {5}choose/,
    );
    assert.equal((await weft(["network", "show", "none"])).code, 3);
    assert.equal((await weft(["network", "delete", "none"])).code, 3);
    const invalid = await weft(["network", "create", "x", "--subnet", "10.9.0.1/16"]);
    assert.equal(invalid.code, 2);
    assert.match(invalid.stderr, /did you mean 10\.9\.0\.0\/16\?/);
    assert.equal((await weft(["network", "create", "x"])).code, 2);
    assert.equal((await weft(["network", "delete", "red"])).code, 0);
  });

  test("what has endpoints goes only by force, and force has to be meant", async () => {
    await joinHost("h8", "192.0.2.8");
    assert.equal((await weft(["network", "create", "busy", "--ipam", "global", "--subnet", "10.10.0.0/24"])).code, 0);
    const claim = { network: "busy", host: "h8", owner: "web", ifname: "eth0", netns: "/run/netns/web" };
    await control.write({ verb: "attach", claim, by: { role: "host", host: "h8" } });
    assert.match((await weft(["lease", "list", "--no-headers"])).stdout, /^10\.10\.0\.\d+ +busy +h8 +web +- +used\n$/);
    assert.match((await weft(["endpoint", "show", "web"])).stdout, /^Name: +web\.eth0$/m);

    const refused = await weft(["network", "delete", "busy"]);
    assert.equal(refused.code, 4);
    assert.match(refused.stderr, /in the way\n {4}web\.eth0\n/);
    assert.equal((await weft(["network", "delete", "busy", "--force"])).code, 2);
    assert.equal((await json<Printed[]>("network", "list")).length, 1);
    assert.equal((await weft(["network", "delete", "busy", "--force", "--yes"])).code, 0);
    assert.deepEqual(await json("endpoint", "list"), []);
    assert.equal((await weft(["host", "delete", "h8"])).code, 0);
  });
});

describe("files", () => {
  const TWO = `kind: network
name: one
spec: {subnets: [{cidr: 10.20.0.0/16, hostPrefix: 24}]}
---
kind: network
name: two
spec: {subnets: [{cidr: 10.21.0.0/24}]}
`;

  test("plan says what would happen on which host, and exits with 10 until it has", async () => {
    await joinHost("h1", "192.0.2.1");
    await joinHost("h2", "192.0.2.2");
    const planned = await weft(["plan", "-f", "-"], { input: TWO });
    assert.equal(planned.code, 10, planned.stderr);
    assert.match(planned.stdout, /^\+ network\/one would be created$/m);
    assert.match(planned.stdout, /^h1: \d+ operations, no endpoint loses packets\n {2}ip netns add weft-one$/m);
    assert.match(planned.stdout, /fdb replace \S+ dev \S+ dst 192\.0\.2\.2/);
    const prefixed = await weft(["plan", "-f", "-", "--netns-prefix", "h1-"], { input: TWO });
    assert.match(prefixed.stdout, /^ {2}ip netns add h1-one$/m);
    assert.doesNotMatch(prefixed.stdout, /weft-one/);
    assert.deepEqual(await json("network", "list"), []);

    const dry = await weft(["apply", "-f", "-", "--dry-run"], { input: TWO });
    assert.equal(dry.code, 0);
    assert.deepEqual(await json("network", "list"), []);

    assert.equal((await weft(["apply", "-f", "-"], { input: TWO })).code, 0);
    assert.equal((await json<Printed[]>("network", "list")).length, 2);
    const again = await weft(["plan", "-f", "-"], { input: TWO });
    assert.deepEqual([again.code, again.stdout], [0, ""], again.stderr);
  });

  test("what list prints may be applied again and changes nothing", async () => {
    const { stdout } = await weft(["network", "list", "-o", "yaml"]);
    const applied = await weft(["apply", "-f", "-"], { input: stdout });
    assert.deepEqual([applied.code, applied.stderr], [0, "nothing to change\n"]);
  });

  test("a mistake in a file is 2, with its line; a missing file as well", async () => {
    const { code, stderr } = await weft(["apply", "-f", "-"], { input: "kind: network\nname: [\n" });
    assert.equal(code, 2);
    assert.match(stderr, /where {2}-:\d+:\d+/);
    assert.equal((await weft(["apply", "-f", join(folder, "none.yaml")])).code, 2);
  });

  test("import dcos makes its networks, and prunes what a later file leaves out only when told", async () => {
    const config = (names: readonly string[]) =>
      `dcos_overlay_network:\n  vtep_subnet: 198.19.0.0/20\n  vtep_mac_oui: 70:B3:D5:00:00:00\n  overlays:\n${names
        .map((name, i) => `    - name: ${name}\n      subnet: 10.${30 + i}.0.0/16\n      prefix: 24\n`)
        .join("")}`;
    assert.equal((await weft(["import", "dcos", "-", "--dry-run"], { input: config(["dcos"]) })).code, 0);
    assert.equal(
      (await json<Printed[]>("vrf", "list")).some((vrf) => vrf.name === "dcos"),
      false,
    );
    assert.equal((await weft(["import", "dcos", "-"], { input: config(["dcos", "extra"]) })).code, 0);
    assert.equal((await json<Printed>("vrf", "show", "dcos")).spec["vni"], 1024);
    assert.equal((await weft(["import", "dcos", "-"], { input: config(["dcos"]) })).code, 2);
    assert.equal((await weft(["network", "show", "extra"])).code, 0);
    assert.equal((await weft(["import", "dcos", "-", "--yes"], { input: config(["dcos"]) })).code, 0);
    assert.equal((await weft(["network", "show", "extra"])).code, 3);
  });
});

describe("pools and members", () => {
  const CONF = "chef: { continuum: { cluster: { subnet: 10.3.0.0/16 }, router: {} } }";
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await weft(args);
    assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
    return stdout + stderr;
  };

  test("import apcera: a dry run says what it would make, again is nothing, a mistake has its place", async () => {
    const dry = await weft(["import", "apcera", "-", "--dry-run"], { input: CONF });
    assert.match(dry.stdout, /^\+ pool\/apcera would be created\n {4}/);
    assert.match(dry.stderr, /ignored, not about virtual networks: chef\.continuum\.router\nonly a dry run/);
    assert.doesNotMatch((await weft(["pool", "list"])).stdout, /apcera/);
    assert.match((await weft(["import", "apcera", "-"], { input: CONF })).stderr, /imported at revision \d+/);
    assert.match((await weft(["import", "apcera", "-"], { input: CONF })).stderr, /nothing to change/);
    const wrong = await weft(["import", "apcera", "-"], { input: "chef: {\n  continuum: [] }" });
    assert.deepEqual([wrong.code, /-:2:14 chef\.continuum/.test(wrong.stderr)], [2, true], wrong.stderr);
    assert.match(
      await run("pool", "show", "apcera"),
      /Local: +10\.<id>\.0\.0\/16 in \/24s\nReserved: +10\.3\.0\.0\/16/,
    );
  });

  test("networks out of a pool, its switch, and what stands in the way of an id", async () => {
    assert.match(await run("network", "create", "p1", "--pool", "apcera"), /192\.168\.1\.0\/24/);
    assert.match(await run("pool", "edit", "apcera", "--ipam", "local"), /those that are there stay/);
    assert.match(await run("network", "create", "p2", "--pool", "apcera"), /10\.2\.0\.0\/16 in \/24s/);
    assert.match((await weft(["pool", "show", "apcera"])).stdout, /1 +p1 +global.*\n2 +p2 +local/);
    assert.match(await run("network", "edit", "p1", "--mtu", "1300"), /p1 changed/);
    assert.deepEqual((await json<Printed>("network", "show", "p1")).spec["pool"], { name: "apcera", id: 1 });
    const taken = await weft(["network", "create", "p3", "--pool", "apcera", "--id", "3"]);
    assert.deepEqual([taken.code, /it is reserved in the pool/.test(taken.stderr)], [4, true], taken.stderr);
    assert.equal((await weft(["network", "create", "p3", "--id", "3"])).code, 2);
    assert.equal((await weft(["pool", "delete", "apcera"])).code, 4);
  });

  test("how frames cross: given, else the pool's, and any driver that there is not is refused by name", async () => {
    assert.match(await run("pool", "edit", "apcera", "--driver", "gre"), /new networks are local, GRE; those that are/);
    await run("network", "create", "g1", "--pool", "apcera", "--id", "71");
    assert.match(await run("network", "show", "g1"), /Tunnel: +GRE\n/);
    await run("network", "edit", "g1", "--driver", "vxlan");
    assert.match(await run("network", "show", "g1"), /Tunnel: +VXLAN, UDP port 4789\n/);
    await run("network", "create", "g2", "--subnet", "10.72.0.0/24", "--driver", "gre");
    assert.match(await run("network", "list", "-o", "wide"), /g2 .* GRE /);
    const lost = await weft(["network", "create", "g3", "--subnet", "10.73.0.0/24", "--driver", "stt"]);
    assert.deepEqual([lost.code, /"stt" is not a driver/.test(lost.stderr)], [2, true], lost.stderr);
    assert.equal((await weft(["pool", "edit", "apcera"])).code, 2);
  });

  test("a workload joins, who is to move is said, and a migration is listed, shown and forgotten", async () => {
    await joinHost("h5", "192.0.2.5");
    await run("network", "create", "p4", "--pool", "apcera", "--ipam", "global");
    const claim = {
      network: "p1",
      host: "h5",
      owner: "web1",
      ifname: "eth0",
      netns: "/run/netns/web1",
      workload: "web",
    };
    await control.write({ verb: "attach", claim, by: { role: "host", host: "h5" } });
    assert.match(await run("network", "join", "p4", "web"), /joins network p4 with 1 instance/);
    assert.match(await run("network", "members", "p4", "--no-headers"), /^web +web1 +h5 +- +- +membership +joining\n$/);
    assert.match(await run("network", "join", "p4", "db"), /it has no instance yet/);
    const late = await weft(["network", "join", "p4", "web", "--wait=1"]);
    assert.deepEqual([late.code, /web1 on h5/.test(late.stderr)], [6, true], late.stderr);
    await run("network", "leave", "p4", "web");
    assert.equal((await weft(["network", "leave", "p4", "web"])).code, 3);

    const dry = await run("network", "migrate", "p1", "p4", "--dry-run");
    assert.match(dry, /web1\.eth0 +h5 +192\.168\.1\.2 +- +- +pending[^]*1 member would move/);
    assert.deepEqual(await json("network", "migration", "list"), []);
    assert.match(await run("network", "migrate", "p1", "p4", "--workload", "web"), /1 pending/);
    const [made] = await json<Printed[]>("network", "migration", "list");
    const name = made?.name ?? "";
    assert.match(await run("network", "migration", "list"), /p1 +p4 +workload web +1 +1 pending/);
    assert.match(await run("network", "migration", "show", name), /web1\.eth0 +h5 +192\.168\.1\.2/);
    const late2 = await weft(["network", "migrate", "p1", "p4"]);
    assert.deepEqual([late2.code, /on their way already/.test(late2.stderr)], [4, true]);
    assert.equal((await weft(["network", "migration", "delete", name])).code, 4);
    assert.equal((await weft(["network", "migration", "delete", name, "--force"])).code, 2, "force has to be meant");
    await run("network", "migration", "delete", name, "--force", "--yes");
    const report = { state: "failed", reason: "no room" } as const;
    await run("network", "migrate", "p1", "p4");
    const [again] = await json<Printed[]>("network", "migration", "list");
    const by = { role: "host", host: "h5" } as const;
    await control.write({ verb: "move", move: `${again?.name}~web1.eth0`, report, by });
    assert.match(await run("network", "migration", "show", again?.name ?? ""), /failed +no room/);
    for (const each of ["p1", "p2", "p4"]) await run("network", "delete", each, "--force", "--yes");
    await run("host", "delete", "h5");
  });
});

describe("convergence", () => {
  test("a host is drained and deleted; one that is gone is reclaimed after a look at what it had", async () => {
    await joinHost("h5", "192.0.2.5");
    await control.write({ verb: "put", kind: "network", name: "aisle", spec: { subnets: [{ cidr: "10.55.0.0/24" }] } });
    const claim = { network: "aisle", host: "h5", owner: "web", ifname: "eth0", netns: "/run/netns/web" };
    const by = { role: "host", host: "h5" } as const;
    await control.write({ verb: "attach", claim, by });
    await report("h5", control.revision);
    const eager = await weft(["host", "delete", "h5"]);
    assert.deepEqual([eager.code, /drain it first/.test(eager.stderr)], [4, true], eager.stderr);
    const drained = await weft(["host", "drain", "h5"]);
    assert.match(
      drained.stderr,
      /h5 takes no new endpoints .*1 endpoint left:\n  web\.eth0 \(10\.55\.0\.2 in network aisle\)/,
    );
    assert.equal((await weft(["host", "drain", "h5", "--wait=0"])).code, 6);
    assert.match((await weft(["host", "list"])).stdout, /^h5 +ready, drained /m);
    await assert.rejects(control.write({ verb: "attach", claim: { ...claim, owner: "db" }, by }), /takes no new/);
    assert.equal((await weft(["host", "resume", "h5"])).code, 0);
    assert.match((await weft(["host", "show", "h5"])).stdout, /^State: +ready$/m);

    // The look changes nothing, and neither does a host that is not lost, or a person who is not sure.
    assert.equal((await weft(["host", "reclaim", "h5", "--dry-run"])).code, 4);
    assert.equal((await weft(["host", "delete", "h5", "--dry-run"])).code, 2);
    const look = await weft(["host", "delete", "h5", "--reclaim", "--force", "--dry-run"]);
    assert.deepEqual([look.code, look.stderr], [0, ""]);
    for (const line of [
      /^endpoint web\.eth0 \(10\.55\.0\.2 in network aisle\)$/m,
      /^host h5$/m,
      /^block 10\.\d+\.2\.0\/24 of network one, host h5$/m,
      /^tunnel address 198\.\S+ in VRF one, host h5$/m,
    ])
      assert.match(look.stdout, line);
    const unsure = await weft(["host", "reclaim", "h5", "--force"]);
    assert.deepEqual([unsure.code, /web\.eth0/.test(unsure.stderr)], [2, true]);
    assert.equal((await weft(["endpoint", "show", "web.eth0"])).code, 0);
    assert.equal((await weft(["host", "reclaim", "h5", "--force", "--yes"])).code, 0);
    assert.equal((await weft(["endpoint", "show", "web.eth0"])).code, 3);
    assert.match((await weft(["host", "list"])).stdout, /^h5 +reclaimed +\S+ +- +192\.0\.2\.5 /m);
    assert.equal((await weft(["host", "delete", "h5"])).code, 0);
    assert.doesNotMatch((await weft(["host", "list"])).stdout, /^h5 /m);
    await joinHost("h6", "192.0.2.6");
    await report("h6", control.revision);
    assert.match((await weft(["host", "drain", "h6", "--wait"])).stderr, /it has none; it can be deleted/);
    assert.equal((await weft(["host", "delete", "h6"])).code, 0);
    await control.write({ verb: "delete", kind: "network", name: "aisle" });
  });

  test("a later conflict shows where people look for it", async () => {
    await joinHost("h4", "192.0.2.4");
    await control.write({
      verb: "put",
      kind: "network",
      name: "office",
      spec: { subnets: [{ cidr: "10.66.0.0/16" }] },
    });
    await control.report({ ...QUIET, host: "h4", revision: 1, hostPrefixes: ["10.66.3.0/24"] });
    const text = /network "office" overlaps 10\.66\.3\.0\/24, which host "h4" has itself/;
    assert.match((await weft(["status"])).stdout, text);
    assert.match((await weft(["network", "show", "office"])).stdout, text);
    await control.report({ ...QUIET, host: "h4", revision: 1 });
    assert.doesNotMatch((await weft(["status"])).stdout, text);
    assert.doesNotMatch((await weft(["network", "show", "office"])).stdout, text);
    await control.write({ verb: "delete", kind: "network", name: "office" });
    await control.write({ verb: "delete", kind: "host", name: "h4" });
  });

  test("--wait is over when every ready host has it, and 6 when one does not in time", async () => {
    const { revision } = await control.status();
    await report("h1", revision + 1);
    await report("h2", revision + 1);
    assert.equal((await weft(["network", "create", "w1", "--subnet", "10.40.0.0/24", "--wait"])).code, 0);
    const late = await weft(["network", "create", "w2", "--subnet", "10.41.0.0/24", "--wait=1"]);
    assert.equal(late.code, 6, late.stderr);
    assert.match(late.stderr, /in the way\n {4}h1 is at \d+\n {4}h2 is at \d+\n/);
    assert.match((await weft(["status"])).stdout, /^converged at revision \d+ on 0 of 2 hosts\n\nHOST +STATE/);
    assert.equal((await json<{ readonly hosts: readonly unknown[] }>("status")).hosts.length, 2);
    const hosts = await weft(["host", "list", "-o", "wide"]);
    assert.match(hosts.stdout, /^h1 +ready +\S+ +\S+ +192\.0\.2\.1 +1500/m);
  });
});

describe("agents", () => {
  test("no agent there: 7; contradictions are 2 before anybody is asked", async () => {
    const env = { WEFT_AGENT_SOCKET: join(folder, "none.sock") };
    assert.equal((await weft(["attach", "--netns", "x", "--network", "w1"], { env })).code, 7);
    assert.equal((await weft(["attach", "--network", "w1"], { env })).code, 2);
    assert.equal((await weft(["attach", "--netns", "x", "--pid", "1", "--network", "w1"], { env })).code, 2);
    assert.equal((await weft(["detach", "x"], { env })).code, 7);
  });
});
