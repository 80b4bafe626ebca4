// Files that are broken, hostile or not meant: readers end soon, name lines, and never fail in another way.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type SourceFormat, SOURCES, WRITERS, readPlan } from "../../../src/formats/formats.ts";
import { isMatch } from "../../../src/formats/pattern.ts";
import { newReading, problem, remarkText, throwProblems } from "../../../src/formats/reading.ts";
import { Fault } from "../../../src/model/fault.ts";
import { anyPlan } from "./anyPlan.ts";
import { asFolder, memoryFiles, read } from "./memoryFiles.ts";

const FORMATS = Object.keys(SOURCES) as readonly SourceFormat[];
const NAMES = { ifupdown: "/x/interfaces", netplan: "/x/a.yaml", networkd: "/x/a.netdev" } as const;

/** Words of the formats among any text. */
const word = fc.oneof(
  fc.constantFrom(
    ..."iface auto source mapping address up pre-up ip link add type vxlan id group bridge_ports [NetDev] [VXLAN] Name="
      .concat(
        " Kind=vxlan network: bridges: tunnels: {mode: vxlan} - & * \\ || true $IFACE \u001b[31m \u202e __proto__",
      )
      .concat(" constructor toString hasOwnProperty 239.0.0.1 10.0.0.1/8 ../../etc/* /x/interfaces eth0")
      .split(" "),
  ),
  fc.string({ maxLength: 20 }),
);
const anyText = fc
  .array(fc.tuple(word, fc.constantFrom(" ", "\n", "\n  ", "=", "\\\n")), { maxLength: 60 })
  .map((parts) => parts.flat().join(""));

test("any text: notes and problems, each one clean line, or one Fault", () => {
  for (const format of FORMATS)
    fc.assert(
      fc.property(anyText, (text) => {
        try {
          const { notes, problems } = read(format, { [NAMES[format]]: text });
          for (const line of [...notes, ...problems])
            assert.ok(!/[\u0000-\u001f\u202e]/.test(line) && line.length < 300, JSON.stringify(line));
        } catch (error) {
          // A file that is not there.
          assert.ok(error instanceof Fault || String(error).startsWith("Error: no file "), String(error));
        }
      }),
      { numRuns: 500 },
    );
});

test("large files end soon: one long command, many aliases, keys, or addresses", () => {
  const many = (n: number, line: (i: number) => string) => Array.from({ length: n }, (_, i) => line(i)).join("");
  const files: readonly (readonly [SourceFormat, string, RegExp])[] = [
    ["ifupdown", `iface a inet manual\n up ip link x${" ".repeat(200_000)}y\n`, /only plain commands/],
    [
      "ifupdown",
      `iface a inet manual\n${many(60_000, (i) => ` address 10.${i >> 8}.${i & 255}.1/8\n`)}`,
      /more than 4096/,
    ],
    [
      "netplan",
      `network:\n x: &x 1\n ethernets:\n${many(20_000, (i) => `  e${i}: {mtu: *x}\n`)}`,
      /more than 4096 devices/,
    ],
    ["netplan", `network:\n ethernets:\n  a: {mtu: 1500}\n  a: {mtu: 1400}\n`, /this key is there twice/],
  ];
  for (const [format, text, expected] of files) {
    const startMs = performance.now();
    const { notes, problems } = read(format, { [NAMES[format]]: text });
    assert.match([...notes, ...problems].join("\n"), expected);
    assert.ok(performance.now() - startMs < 20_000, "a walk through all for each would take minutes");
  }
});

test("written files with lines lost, doubled and torn are read without another failure", () => {
  for (const format of FORMATS)
    fc.assert(
      fc.property(anyPlan, fc.infiniteStream(fc.nat(9)), (plan, luck) => {
        const { files } = WRITERS[format]({ plan, name: "x", header: [] });
        const torn = files.map(({ path, text }) => ({
          path,
          text: text
            .split("\n")
            .flatMap((line) => {
              const n = luck.next().value;
              return n === 0 ? [] : n === 1 ? [line, line] : n === 2 ? [line.slice(0, line.length / 2)] : [line];
            })
            .join("\n"),
        }));
        read(format, asFolder(torn), ["/x"]);
      }),
      { numRuns: 100 },
    );
});

test("bounds: files, characters, devices, patterns", () => {
  const refused = (texts: Readonly<Record<string, string>>, paths: readonly string[]) => {
    try {
      readPlan("ifupdown", memoryFiles(texts), paths);
    } catch (error) {
      return error instanceof Fault ? error.message : assert.fail(String(error));
    }
    return assert.fail("it was read");
  };
  assert.match(refused({ "/a": "x".repeat(4_194_305) }, ["/a"]), /more than 4194304 characters are read/);
  assert.match(refused({ "/a": "\0" }, ["/a"]), /zero bytes/);
  const many = Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`/d/f${i}`, ""]));
  assert.match(refused(many, ["/d"]), /more than 1000 files are read/);
  // Each file includes all the others: what is read ends at the same bound.
  const circle = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`/d/f${i}`, "source /d/*\n"]));
  assert.match(refused(circle, ["/d"]), /more than 1000 files are read/);
  const devices = Array.from({ length: 4097 }, (_, i) => `iface d${i} inet manual\n`).join("");
  assert.deepEqual(read("ifupdown", { "/a": devices }).problems, ["/a:4097: d4096: there are more than 4096 devices"]);
  assert.equal(isMatch(`${"*a".repeat(1000)}b`, "a".repeat(10_000)), false);
  assert.equal(isMatch("eth?.*0", "eth1.100"), true);
  assert.equal(isMatch("a[bc]", "ab"), false);
});

const problemsOf = (text: string, others: Readonly<Record<string, string>> = {}) =>
  read("ifupdown", { "/etc/network/interfaces": text, ...others });
const BRIDGE = "auto br0\niface br0 inet static\n  address 10.0.0.1/24\n  bridge_ports none\n";

test("a file that includes itself, by name or by a pattern, in folders or through others, ends and is named", () => {
  const here = "/etc/network/interfaces";
  for (const [line, others] of [
    [`source ${here}`, {}],
    ["source interfaces*", {}],
    ["source /etc/network/interfaces.d/*", { "/etc/network/interfaces.d/a": `source ${here}\n` }],
    ["source-directory interfaces.d", { "/etc/network/interfaces.d/a": "source /etc/network/interfaces.d/a\n" }],
  ] as const) {
    const { problems } = problemsOf(`${BRIDGE}${line}\n`, others);
    assert.ok(problems.length > 0 && problems.length <= 16, problems.join("\n"));
    assert.match(problems.join(), /files include each other too deeply/);
    assert.match(problems[0] ?? "", /^\/etc\/network\/interfaces(\.d\/a)?:\d+: /);
  }
});

test("lines that end in CR and LF, tabs, continued lines, and a mark of the order of bytes change nothing", () => {
  const { links } = problemsOf(BRIDGE);
  for (const text of [
    BRIDGE.replaceAll("\n", "\r\n"),
    BRIDGE.replaceAll("  ", "\t").replaceAll(" ", "\t "),
    BRIDGE.replaceAll(" inet", " \\\n  inet").replace("address ", "address \\\n"),
    BRIDGE.replaceAll(" inet", " \\\r\n  inet").replaceAll(/(?<!\r)\n/g, "\r\n"),
    `\ufeff${BRIDGE}`,
  ]) {
    const again = problemsOf(text);
    assert.deepEqual([again.links, again.notes, again.problems], [links, [], []], JSON.stringify(text));
  }
});

test("bytes that are no UTF-8: in a comment they say nothing, in a name they are refused with their line", () => {
  assert.deepEqual(problemsOf(`# B\ufffdro\n${BRIDGE}`).problems, []);
  assert.deepEqual(problemsOf(`${BRIDGE}iface br\ufffd inet manual\n`).problems, [
    "/etc/network/interfaces:5: br\ufffd: this cannot be the name of a device",
  ]);
});

test("what a reader cannot hold is a note with its line, each with the reason", () => {
  const { notes } = problemsOf(`auto eth0
iface eth0 inet dhcp
    dns-nameservers 10.0.0.1
    up iptables -A INPUT -j DROP
    pre-up ip link add foo type macvlan; rm -rf /
    up ip link add foo type macvlan mode bridge
    up ip route add 10.0.0.0/8 via 10.1.0.1 dev eth0 table 7
mapping eth1
    script x
iface ovs0 inet manual
    ovs_type OVSBridge
    bridge_ports regex eth.*
`);
  assert.deepEqual(notes, [
    "/etc/network/interfaces:8: mapping eth1: a mapping and its lines are not read",
    "/etc/network/interfaces:2: iface eth0 inet dhcp: addresses by dhcp are not read",
    "/etc/network/interfaces:3: dns-nameservers 10.0.0.1: this option is not read",
    "/etc/network/interfaces:4: iptables -A INPUT -j DROP: this command is not read",
    "/etc/network/interfaces:5: ip link add foo type macvlan; rm -rf /: only plain commands of ip and bridge are read",
    "/etc/network/interfaces:6: ip link add foo type macvlan mode bridge: devices of type macvlan are not read",
    "/etc/network/interfaces:7: ip route add 10.0.0.0/8 via 10.1.0.1 dev eth0 table 7: table is not read",
    "/etc/network/interfaces:11: ovs_type OVSBridge: this option is not read",
    "/etc/network/interfaces:12: bridge_ports regex eth.*: only ports that are named are read",
  ]);
});

test("all problems are one refusal with every line", () => {
  const reading = newReading();
  throwProblems(reading);
  problem(reading, { file: "a", line: 1 }, "one  thing\n", "why");
  assert.throws(() => throwProblems(reading), /^Fault: one thing: why \(at a:1\); correct it; nothing was changed$/);
  problem(reading, { file: "b", line: 2 }, "x".repeat(200), "why");
  assert.throws(() => throwProblems(reading), /the files have 2 problems \[a:1: one thing: why, b:2: x{120}…: why\]/);
  assert.equal(reading.problems.map(remarkText).length, 2);
});
