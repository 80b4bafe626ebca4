// config.yaml as operators have it: the published samples load; each rule of the installer and of the overlay master,
// and each that both lack, refuses with the place in the file.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Fault } from "../../../../src/model/fault.ts";
import { parseDcosConfig } from "../../../../src/ancestors/dcos/config.ts";
import { COMMUNITY, ENTERPRISE, ENTERPRISE_ESCAPED } from "./samples.ts";

function faultOf(text: string, file = "config.yaml"): Fault {
  try {
    parseDcosConfig(text, file);
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  assert.fail("the file was taken");
}

/** A file with one overlay, whose lines are `overlay`; `more` are keys of dcos_overlay_network. */
function fileWith(overlay: readonly string[], more: readonly string[] = [], top: readonly string[] = []): string {
  const keys = (lines: readonly string[], indent: string) => lines.map((line) => indent + line).join("\n");
  const has = (key: string) => more.some((line) => line.startsWith(`${key}:`));
  return [
    ...top,
    "dcos_overlay_network:",
    ...(has("vtep_subnet") ? [] : ["  vtep_subnet: 44.128.0.0/20"]),
    ...(has("vtep_mac_oui") ? [] : ["  vtep_mac_oui: 70:B3:D5:00:00:00"]),
    ...(more.length === 0 ? [] : [keys(more, "  ")]),
    "  overlays:",
    `  - ${overlay[0]}`,
    ...(overlay.length > 1 ? [keys(overlay.slice(1), "    ")] : []),
    "",
  ].join("\n");
}
const dcos = (...lines: string[]) => fileWith(["name: dcos", ...lines]);
const OK = ["name: dcos", "subnet: 9.0.0.0/8", "prefix: 24"];

test("the samples of both editions load", () => {
  const community = parseDcosConfig(COMMUNITY, "config.yaml");
  assert.equal(community.clusterName, "<cluster-name>");
  assert.deepEqual(community.agents, ["10.10.0.117", "10.10.0.116"]);
  assert.deepEqual(community.masters, ["10.10.0.120", "10.10.0.119", "10.10.0.118"]);
  assert.equal(community.vtepSubnet, "44.128.0.0/20");
  assert.equal(community.vtepMacOui, "70:B3:D5:00:00:00");
  assert.deepEqual(community.overlays, [
    { name: "dcos", subnet: "9.0.0.0/8", prefix: 26, enabled: true },
    { name: "dcos-1", subnet: "192.168.0.0/16", prefix: 24, enabled: true },
  ]);
  const enterprise = parseDcosConfig(ENTERPRISE, "config.yaml");
  assert.equal(enterprise.vtepSubnet, "192.15.0.0/20");
  assert.deepEqual(
    enterprise.overlays.map(({ name }) => name),
    ["dcos-1", "dcos-2"],
  );
});

test("a sample whose angle brackets were escaped as in HTML loads too", () => {
  const config = parseDcosConfig(ENTERPRISE_ESCAPED, "config.yaml");
  assert.equal(config.clusterName, "<cluster-name>");
  assert.deepEqual(
    config.overlays.map(({ subnet }) => subnet),
    ["192.168.0.0/17", "192.168.128.0/17", "44.128.0.0/16"],
  );
});

test("a file that says nothing about networks gets the installer's", () => {
  const config = parseDcosConfig("cluster_name: prod\nagent_list: []\n", "config.yaml");
  assert.deepEqual(config.overlays, [
    { name: "dcos", subnet: "9.0.0.0/8", prefix: 24, enabled: true },
    { name: "dcos6", subnet6: "fd01:b::/64", prefix6: 80, enabled: true },
  ]);
  assert.equal(config.vtepSubnet6, "fd01:a::/64");
  assert.match(config.notes[0] ?? "", /no dcos_overlay_network/);
});

test("dcos_overlay_network and lists may be text that holds JSON", () => {
  const network = {
    vtep_subnet: "44.128.0.0/20",
    vtep_mac_oui: "70:B3:D5:00:00:00",
    overlays: [{ name: "dcos", subnet: "9.0.0.0/8", prefix: 24 }],
  };
  const config = parseDcosConfig(
    `master_list: '["10.0.0.1"]'\ndcos_overlay_network: '${JSON.stringify(network)}'\n`,
    "config.yaml",
  );
  assert.deepEqual(config.overlays, [{ name: "dcos", subnet: "9.0.0.0/8", prefix: 24, enabled: true }]);
  assert.deepEqual(config.masters, ["10.0.0.1"]);

  const broken = faultOf(
    `x: 1\ndcos_overlay_network: '${JSON.stringify({ ...network, vtep_subnet: "44.128.0.1/20" })}'\n`,
  );
  assert.equal(broken.detail.where, "config.yaml:2:23 dcos_overlay_network.vtep_subnet");
});

test("the installer's own keys may be quoted, nested values may not", () => {
  const quoted = parseDcosConfig(
    fileWith(OK, [], ["dcos_overlay_mtu: '1420'", "enable_ipv6: 'false'", "dcos_overlay_enable: no"]),
    "f",
  );
  assert.deepEqual([quoted.overlayMtu, quoted.enableIpv6, quoted.overlayEnable], [1420, false, false]);
  assert.match(
    faultOf(dcos("subnet: 9.0.0.0/8", 'prefix: "24"')).message,
    /whole number, not the text "24".*remove the quotes/,
  );
  assert.match(faultOf(fileWith([...OK, 'enabled: "no"'])).message, /true or false, not the text "no"/);
  assert.equal(parseDcosConfig(fileWith([...OK, "enabled: no"]), "f").overlays[0]?.enabled, false);
});

test("a wrong type is named with its place", () => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ["dcos_overlay_network: [1]\n", "f:1:23 dcos_overlay_network", /a mapping, not a list/],
    ["dcos_overlay_network: nothing\n", "f:1:23 dcos_overlay_network", /a mapping, not the text "nothing"/],
    [fileWith(OK, [], ["agent_list: 10.0.0.1"]), "f:1:13 agent_list", /a list, not the text/],
    [fileWith(OK, [], ["agent_list: [10.0.0.256]"]), "f:1:14 agent_list[0]", /"10.0.0.256" is not an IP address/],
    [fileWith(["5"]), "f:5:5 dcos_overlay_network.overlays[0]", /a mapping, not the number 5/],
    [
      dcos("subnet: 9.0.0.0/8", "prefix: 24.5"),
      "f:7:13 dcos_overlay_network.overlays[0].prefix",
      /not the number 24.5/,
    ],
    [dcos("subnet: 9.0.0.0/8", "prefix: [24]"), "f:7:13 dcos_overlay_network.overlays[0].prefix", /not a list/],
    [
      fileWith(["name: 7", ...OK.slice(1)]),
      "f:5:11 dcos_overlay_network.overlays[0].name",
      /text, not the number 7.*put it in quotes/,
    ],
    [
      fileWith([...OK, "enabled: 1"]),
      "f:8:14 dcos_overlay_network.overlays[0].enabled",
      /true or false, not the number 1/,
    ],
    [fileWith(OK, [], ["dcos_overlay_mtu: *none"]), "f:1:19 dcos_overlay_mtu", /an unknown alias/],
  ];
  for (const [text, where, message] of cases) {
    const fault = faultOf(text, "f");
    assert.equal(fault.detail.where, where);
    assert.match(fault.message, message);
  }
});

test("each rule refuses, with its reason and path", () => {
  const at = "dcos_overlay_network";
  const cases: readonly (readonly [string, string, string, RegExp])[] = [
    ["vtep /7", fileWith(OK, ["vtep_subnet: 44.0.0.0/7"]), `prefix-invalid ${at}.vtep_subnet`, /low 24 bits/],
    ["vtep /31", fileWith(OK, ["vtep_subnet: 44.0.0.0/31"]), `prefix-invalid ${at}.vtep_subnet`, /none is left/],
    [
      "vtep strict",
      fileWith(OK, ["vtep_subnet: 44.128.0.1/20"]),
      `cidr-invalid ${at}.vtep_subnet`,
      /did you mean 44.128.0.0\/20\?/,
    ],
    ["vtep family", fileWith(OK, ["vtep_subnet: fd00::/64"]), `cidr-invalid ${at}.vtep_subnet`, /not an IPv4 network/],
    [
      "vtep6 family",
      fileWith(OK, ["vtep_subnet6: 10.0.0.0/8"]),
      `cidr-invalid ${at}.vtep_subnet6`,
      /not an IPv6 network/,
    ],
    [
      "OUI low bytes",
      fileWith(OK, ["vtep_mac_oui: 70:B3:D5:00:00:01"]),
      `address-invalid ${at}.vtep_mac_oui`,
      /last three octets/,
    ],
    [
      "OUI five parts",
      fileWith(OK, ["vtep_mac_oui: 70:B3:D5:00:00"]),
      `address-invalid ${at}.vtep_mac_oui`,
      /six octets/,
    ],
    [
      "OUI not hex",
      fileWith(OK, ["vtep_mac_oui: 70:B3:G5:00:00:00"]),
      `address-invalid ${at}.vtep_mac_oui`,
      /hexadecimal/,
    ],
    [
      "OUI multicast",
      fileWith(OK, ["vtep_mac_oui: 71:B3:D5:00:00:00"]),
      `address-invalid ${at}.vtep_mac_oui`,
      /multicast/,
    ],
    ["vtep_mtu", fileWith(OK, ["vtep_mtu: 551"]), `mtu-invalid ${at}.vtep_mtu`, /552/],
    ["overlay mtu", fileWith(OK, [], ["dcos_overlay_mtu: 551"]), "mtu-invalid dcos_overlay_mtu", /552/],
    [
      "IPv6 mtu",
      "dcos_overlay_mtu: 1279\nagent_list: []\n",
      "mtu-invalid dcos_overlay_mtu",
      /overlays\[1\] has IPv6, which needs 1280/,
    ],
    ["no name", fileWith(OK.slice(1)), `yaml-invalid ${at}.overlays[0].name`, /name is missing/],
    ["no addresses", dcos(), `yaml-invalid ${at}.overlays[0]`, /no addresses/],
    ["no prefix", dcos("subnet: 9.0.0.0/8"), `prefix-invalid ${at}.overlays[0].prefix`, /without prefix/],
    [
      "no subnet",
      fileWith(["name: dcos", "subnet6: fd00::/64", "prefix6: 80", "prefix: 24"], ["vtep_subnet6: fd01::/64"]),
      `prefix-invalid ${at}.overlays[0].subnet`,
      /without subnet/,
    ],
    [
      "subnet strict",
      dcos("subnet: 10.1.2.3/16", "prefix: 24"),
      `cidr-invalid ${at}.overlays[0].subnet`,
      /did you mean 10.1.0.0\/16\?/,
    ],
    [
      "prefix under subnet",
      dcos("subnet: 10.0.0.0/16", "prefix: 15"),
      `prefix-invalid ${at}.overlays[0].prefix`,
      /whole network is a \/16/,
    ],
    [
      "prefix 30",
      dcos("subnet: 10.0.0.0/16", "prefix: 30"),
      `prefix-invalid ${at}.overlays[0].prefix`,
      /give 16 to 29/,
    ],
    ["negative prefix", dcos("subnet: 10.0.0.0/16", "prefix: -1"), `prefix-invalid ${at}.overlays[0].prefix`, /\/-1/],
    [
      "no vtep6",
      dcos("subnet6: fd00::/64", "prefix6: 80"),
      `yaml-invalid ${at}.vtep_subnet6`,
      /overlays\[0\] has a subnet6/,
    ],
    ["slash in name", fileWith(["name: a/b", ...OK.slice(1)]), `name-invalid ${at}.overlays[0].name`, /letters/],
    ["blank in name", fileWith(["name: a b", ...OK.slice(1)]), `name-invalid ${at}.overlays[0].name`, /letters/],
    [
      "in the vteps",
      dcos("subnet: 44.0.0.0/8", "prefix: 24"),
      `overlap ${at}.overlays[0].subnet`,
      /overlaps 44.128.0.0\/20 \(vtep_subnet\)/,
    ],
    ["around an agent", fileWith(OK, [], ["agent_list: [9.1.2.3]"]), "overlap agent_list[0]", /inside 9.0.0.0\/8/],
    ["around a master", fileWith(OK, [], ["master_list: [9.1.2.3]"]), "overlap master_list[0]", /inside/],
    ["Calico", fileWith(OK, [], ["calico_network_cidr: 9.1.0.0/16"]), "overlap calico_network_cidr", /overlaps/],
    [
      "default name",
      fileWith(OK, [], ["dcos_overlay_network_default_name: foo"]),
      "network-unknown dcos_overlay_network_default_name",
      /^Default overlay network name does not reference a defined overlay network: foo /,
    ],
  ];
  for (const [title, text, expected, message] of cases) {
    const fault = faultOf(text);
    assert.equal(`${fault.reason} ${fault.detail.where?.replace(/^config\.yaml:\d+:\d+ /, "")}`, expected, title);
    assert.match(fault.message, message, title);
  }
});

test("names that runtimes use are refused, long names are not", () => {
  for (const name of ["host", "bridge", "default", "none"]) {
    assert.equal(faultOf(fileWith([`name: ${name}`, ...OK.slice(1)])).reason, "name-reserved");
  }
  for (const name of ["exactly-13-ch", "fourteen-chars", "a-name-that-no-device-of-linux-could-have"]) {
    assert.equal(parseDcosConfig(fileWith([`name: ${name}`, ...OK.slice(1)]), "f").overlays[0]?.name, name);
  }
});

test("required parts of dcos_overlay_network", () => {
  assert.match(
    faultOf("dcos_overlay_network:\n  vtep_mac_oui: 70:B3:D5:00:00:00\n  vtep_subnet: 44.128.0.0/20\n").message,
    /overlays is missing/,
  );
  assert.match(
    faultOf("dcos_overlay_network: {vtep_mac_oui: '70:B3:D5:00:00:00', vtep_subnet: 44.128.0.0/20, overlays: []}\n")
      .message,
    /no overlay/,
  );
  assert.deepEqual(
    faultOf("dcos_overlay_network: {}\n").detail.blockers?.map((line) => line.replace(/;.*/, "")),
    ["overlays", "vtep_mac_oui", "vtep_subnet"].map(
      (key) => `config.yaml:1:23 dcos_overlay_network.${key}: ${key} is missing`,
    ),
  );
});

/** The cases of a pair of overlays. */
function pair(a: string, b: string, prefix = 24): string {
  return (
    fileWith([`name: one`, `subnet: ${a}`, `prefix: ${prefix}`]) + `  - {name: two, subnet: ${b}, prefix: ${prefix}}\n`
  );
}

test("overlays must not overlap, whichever comes first", () => {
  for (const text of [
    pair("10.0.0.0/8", "10.1.0.0/16"),
    pair("10.1.0.0/16", "10.0.0.0/8"),
    pair("10.0.0.0/8", "10.0.0.0/8"),
  ]) {
    const fault = faultOf(text);
    assert.equal(fault.reason, "overlap");
    assert.equal(fault.detail.where, "config.yaml:8:25 dcos_overlay_network.overlays[1].subnet");
  }
  assert.equal(parseDcosConfig(pair("192.168.0.0/17", "192.168.128.0/17"), "f").overlays.length, 2);
});

test("a duplicate name is refused", () => {
  const fault = faultOf(pair("10.0.0.0/16", "10.1.0.0/16").replace("name: two", "name: one"));
  assert.equal(fault.reason, "name-taken");
  assert.match(fault.message, /overlays\[0\]/);
});

test("all problems are told at once, from top to bottom", () => {
  const fault = faultOf(
    [
      "dcos_overlay_mtu: large",
      "dcos_overlay_network:",
      "  vtep_subnet: 44.128.0.5/20",
      "  vtep_mac_oui: 70:B3:D5",
      "  overlays:",
      "  - {name: none, subnet: 10.0.0.0/8, prefix: 31}",
      "  - {name: b, subnet: 10.9.0.0/16, prefix: 24, enabled: maybe}",
      "agent_list: [10.1.1.1]",
    ].join("\n"),
  );
  assert.equal(fault.reason, "yaml-invalid");
  assert.match(fault.message, /config.yaml has 8 problems/);
  const places = fault.detail.blockers?.map((line) => /^config\.yaml:(\S+) /.exec(line)?.[1]);
  assert.deepEqual(places, ["1:19", "3:16", "4:17", "6:12", "6:46", "7:23", "7:57", "8:14"]);
});

test("what is not YAML is refused with its place", () => {
  assert.match(faultOf("a: [1, 2\n").detail.where ?? "", /^config.yaml:2:1$/);
  assert.match(faultOf("a: 1\na: 2\n").message, /unique.*config.yaml:2:1/);
  assert.match(faultOf("a: 1\n---\nb: 2\n").message, /multiple documents/);
  assert.match(faultOf("").message, /empty/);
  assert.match(faultOf("# only a comment\n").message, /empty/);
  assert.match(faultOf("- a\n").message, /a mapping, not a list/);
});

test("no text makes anything but a config or a Fault", () => {
  const piece = fc.constantFrom(
    ...COMMUNITY.split(/(?<=[\s:/-])/),
    "&a ",
    "*a ",
    "- ",
    "[",
    "{",
    "'",
    "null",
    "~",
    "\t",
    "\u0000",
    "!!x ",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      try {
        assert.ok(parseDcosConfig(pieces.join(""), "f").overlays.length > 0);
      } catch (error) {
        assert.ok(error instanceof Fault, String(error));
        assert.ok(error.detail.where !== undefined || (error.detail.blockers?.length ?? 0) > 1);
      }
    }),
    { numRuns: 300 },
  );
});

function notesOf(text: string): string {
  return parseDcosConfig(text, "f").notes.join("\n");
}

test("notes tell what is allowed and still matters", () => {
  const notes = notesOf(COMMUNITY);
  assert.match(notes, /overlays\[0\]\.subnet: 9.0.0.0\/8 \(dcos\) is public address space/);
  assert.match(notes, /vtep_subnet: 44.128.0.0\/20 .*public/);
  assert.doesNotMatch(notes, /192.168.0.0/);
  assert.match(notes, /master_list: 3 hosts: members of every network, with blocks but no bridges/);
  assert.match(notes, /no effect in Weft: bootstrap_url, master_discovery, resolvers, ssh_port, ssh_user/);
  assert.match(notesOf(dcos("subnet: 10.1.1.0/24", "prefix: 24")), /\.prefix: .*one host only/);
  const hosts = ["agent_list: [1.1.1.1, 1.1.1.2]", "public_agent_list: [1.1.1.3]"];
  const few = notesOf(
    fileWith(["name: dcos", "subnet: 10.1.0.0/23", "prefix: 24"], ["vtep_subnet: 10.9.0.0/30"], hosts),
  );
  assert.match(few, /prefix: there are blocks for 2 hosts, and the file lists 3/);
  assert.match(few, /vtep_subnet: has addresses for 2 hosts, and the file lists 3/);
  assert.match(notesOf(fileWith(OK, [], ["dcos_overlay_enable: false"])), /asks for no virtual network/);
  assert.match(
    notesOf(fileWith([...OK, "perfix: 3"])),
    /f:8:13 dcos_overlay_network.overlays\[0\].perfix: this key has no effect/,
  );
  assert.match(notesOf(fileWith(OK, [], ["dcos_overlay_mtu: 560"])), /least MTU of a Weft network is 576/);
});
