// Configurations and states that DC/OS publishes, as data of tests: what they say is fact, and ours must say the same.
import assert from "node:assert/strict";
import type { ApplyItem } from "../../../../src/model/input.ts";
import { parseDcosConfig } from "../../../../src/ancestors/dcos/config.ts";
import { applyOf } from "../../../../src/ancestors/dcos/resources.ts";

type Item<K extends ApplyItem["kind"]> = Extract<ApplyItem, { readonly kind: K }>;

/** The VRF and the networks that a file becomes. */
export function resourcesOf(text: string): {
  readonly vrf: Item<"vrf">;
  readonly networks: readonly Item<"network">[];
} {
  const { resources } = applyOf(parseDcosConfig(text, "config.yaml"));
  const [vrf, ...networks] = resources;
  assert.ok(vrf?.kind === "vrf");
  return { vrf, networks: networks.filter((item) => item.kind === "network") };
}

/** Community edition, 1.8/1.9: two networks. */
export const COMMUNITY = `
    agent_list:
    - 10.10.0.117
    - 10.10.0.116
    # Use this bootstrap_url value unless you have moved the DC/OS installer assets.
    bootstrap_url: file:///opt/dcos_install_tmp
    cluster_name: <cluster-name>
    master_discovery: static
    master_list:
    - 10.10.0.120
    - 10.10.0.119
    - 10.10.0.118
    resolvers:
    - 8.8.4.4
    - 8.8.8.8
    ssh_port: 22
    ssh_user: centos
    dcos_overlay_network:
      vtep_subnet: 44.128.0.0/20
      vtep_mac_oui: 70:B3:D5:00:00:00
      overlays:
        - name: dcos
          subnet: 9.0.0.0/8
          prefix: 26
        - name: dcos-1
          subnet: 192.168.0.0/16
          prefix: 24
`;

/** Enterprise edition: what is there without a word from the operator. */
export const ENTERPRISE = `
  dcos_overlay_network:
    vtep_subnet: 192.15.0.0/20
    vtep_mac_oui: 70:B3:D5:00:00:00
    overlays: 
      - name: dcos-1
        subnet: 192.168.0.0/17
        prefix: 24
      - name: dcos-2
        subnet: 192.168.128.0/17
        prefix: 24
`;

/** Enterprise edition with a third network, copied from a page that escapes angle brackets. */
export const ENTERPRISE_ESCAPED = `
    agent_list:
    - 10.10.0.117
    - 10.10.0.116
    bootstrap_url: file:///opt/dcos_install_tmp
    cluster_name: &lt;cluster-name&gt;
    master_discovery: static
    master_list:
    - 10.10.0.120
    - 10.10.0.119
    - 10.10.0.118
    dcos_overlay_network:
      vtep_subnet: 192.15.0.0/20
      vtep_mac_oui: 70:B3:D5:00:00:00
      overlays: 
        - name: dcos-1
          subnet: 192.168.0.0/17
          prefix: 24
        - name: dcos-2
          subnet: 192.168.128.0/17
          prefix: 24
        - name: dcos-3
          subnet: 44.128.0.0/16
          prefix: 24
`;

const DCOS = { name: "dcos", prefix: 24, subnet: "9.0.0.0/8" };
const DCOS6 = { name: "dcos6", prefix6: 80, subnet6: "fd01:b::/64" };
const state = { status: "STATUS_OK" };

function docker(n: number, subnet: string, ip: string): object {
  const vxlan = { vni: 1024, vtep_ip: `198.15.0.${n}/20`, vtep_mac: `70:b3:d5:0f:00:0${n}`, vtep_name: "vtep1024" };
  const info = { name: "dcos", prefix: 24, subnet: "44.128.0.0/16" };
  return { backend: { vxlan }, docker_bridge: { ip, name: "d-dcos" }, info, state, subnet };
}

function backend(n: number): object {
  const mac = `70:b3:d5:80:00:0${n}`;
  const vtep = { vtep_ip: `44.128.0.${n}/20`, vtep_ip6: `fd01:a::${n}/64`, vtep_mac: mac, vtep_name: "vtep1024" };
  return { vxlan: { vni: 1024, ...vtep } };
}

function dcos(n: number, first: string): object {
  return {
    backend: backend(n),
    docker_bridge: { ip: `${first}.128/25`, name: "d-dcos" },
    info: DCOS,
    mesos_bridge: { ip: `${first}.0/25`, name: "m-dcos" },
    state,
    subnet: `${first}.0/24`,
  };
}

function dcos6(n: number, lower: string, upper: string): object {
  return {
    backend: backend(n),
    docker_bridge: { ip6: `${upper}/81`, name: "d-dcos6" },
    info: DCOS6,
    mesos_bridge: { ip6: `${lower}/81`, name: "m-dcos6" },
    state,
    subnet6: `${lower}/80`,
  };
}

/** What an overlay master shows of one network and three agents that run Docker only. */
export const STATE = {
  agents: [
    { ip: "10.10.0.120", overlays: [docker(1, "44.128.0.0/24", "44.128.0.128/25")] },
    { ip: "10.10.0.118", overlays: [docker(2, "44.128.1.0/24", "44.128.1.128/25")] },
    { ip: "10.10.0.119", overlays: [docker(3, "44.128.2.0/24", "44.128.2.128/25")] },
  ],
  network: {
    overlays: [{ name: "dcos", prefix: 24, subnet: "44.128.0.0/16" }],
    vtep_mac_oui: "70:B3:D5:00:00:00",
    vtep_subnet: "198.15.0.0/20",
  },
};

/** The configuration of STATE. */
export const STATE_CONFIG = `
dcos_overlay_network:
  vtep_subnet: 198.15.0.0/20
  vtep_mac_oui: 70:B3:D5:00:00:00
  overlays: [{ name: dcos, subnet: 44.128.0.0/16, prefix: 24 }]
`;

/** DC/OS 2.x as installed: a master, which is a member without bridges, then two agents; IPv6. */
export const STATE_2 = {
  agents: [
    {
      ip: "172.17.0.2",
      overlays: [
        { backend: backend(1), info: DCOS, state, subnet: "9.0.0.0/24" },
        { backend: backend(1), info: DCOS6, state, subnet6: "fd01:b::/80" },
      ],
    },
    { ip: "172.17.0.4", overlays: [dcos(2, "9.0.1"), dcos6(2, "fd01:b:0:0:1::", "fd01:b::1:8000:0:0")] },
    { ip: "172.17.0.3", overlays: [dcos(3, "9.0.2"), dcos6(3, "fd01:b:0:0:2::", "fd01:b::2:8000:0:0")] },
  ],
  network: {
    overlays: [DCOS, DCOS6],
    vtep_mac_oui: "70:B3:D5:00:00:00",
    vtep_subnet: "44.128.0.0/20",
    vtep_subnet6: "fd01:a::/64",
  },
};

/** The configuration of STATE_2. */
export const STATE_2_CONFIG = "master_list: [172.17.0.2]\nagent_list: [172.17.0.3, 172.17.0.4]\n";
