// What Weft's kinds are in the tables of Open vSwitch: rows that were read to objects, and objects to transactions.
import type { OvsBridge, OvsPort } from "../../datapath/kinds/openVswitch.ts";
import { rangesOf, tunnelOptions, vlanMode } from "../../datapath/kinds/openVswitch.ts";
import { MARK } from "../../datapath/kinds/kind.ts";
import { defined } from "../../model/defined.ts";
import type { Operation } from "./client.ts";
import type { Replica, Row } from "./replica.ts";
import { type Columns, atomsIn, entriesIn, mapOf, named, numbersIn, setOf, textsIn } from "./values.ts";

export type OvsObject = OvsBridge | OvsPort;

export const WATCHED = {
  Open_vSwitch: ["cur_cfg", "next_cfg"],
  Bridge: ["name", "ports", "datapath_type", "external_ids"],
  Port: ["name", "interfaces", "tag", "trunks", "vlan_mode", "protected", "external_ids"],
  Interface: ["name", "type", "options", "mtu_request", "ofport", "error", "ifindex", "status", "external_ids"],
};

const PORT_TYPES = ["internal", "system", "vxlan", "gre", "ip6gre"] as const;

/** What a row of a name in a table is: its UUID, and whose it is by its mark; undefined if there is none. */
export function rowOf(replica: Replica, table: "Bridge" | "Port" | "Interface", name: string): Named | undefined {
  const id = replica.idOf(table, name);
  const row = id === undefined ? undefined : replica.table(table).get(id);
  if (id === undefined || row === undefined) return undefined;
  return { id, row, of: entriesIn(row["external_ids"]).get(MARK) };
}
export type Named = { readonly id: string; readonly row: Row; readonly of: string | undefined };

/** Bridges and ports with Weft's mark. */
export function objectsIn(replica: Replica): OvsObject[] {
  const objects: OvsObject[] = [];
  for (const row of replica.table("Bridge").values()) {
    const [name = ""] = textsIn(row["name"]);
    const of = entriesIn(row["external_ids"]).get(MARK);
    if (of !== undefined) objects.push({ kind: "ovs-bridge", ns: "host", name, of });
    for (const id of textsIn(row["ports"])) {
      const port = replica.table("Port").get(id);
      const object = port === undefined ? undefined : portIn(replica, name, port);
      if (object !== undefined) objects.push(object);
    }
  }
  return objects;
}

function portIn(replica: Replica, bridge: string, row: Row): OvsPort | undefined {
  const of = entriesIn(row["external_ids"]).get(MARK);
  if (of === undefined) return undefined;
  const [name = ""] = textsIn(row["name"]);
  const [first = ""] = textsIn(row["interfaces"]);
  const face = replica.table("Interface").get(first);
  const text = face === undefined ? "" : (textsIn(face["type"])[0] ?? "");
  const type = PORT_TYPES.find((known) => known === (text === "" ? "system" : text)) ?? "system";
  const options = new Map(face === undefined ? [] : entriesIn(face["options"]));
  const tunnel = tunnelIn(options);
  const port: OvsPort = {
    kind: "ovs-port",
    ns: "host",
    name,
    of,
    bridge,
    type,
    ...vlansOf(row),
    ...defined({ mtu: face === undefined ? undefined : numbersIn(face["mtu_request"])[0], tunnel }),
  };
  const isSplit = atomsIn(row["protected"])[0] === true;
  const isWhole = isSplit === (tunnel !== undefined) && textsIn(row["interfaces"]).length === 1;
  const trouble = isWhole && face !== undefined ? troubleOf(face) : "its row is not as Weft leaves it";
  return trouble === undefined ? port : { ...port, trouble };
}

/** Why a port is not in use. */
export function troubleOf(face: Row): string | undefined {
  const [error] = textsIn(face["error"]);
  const [number] = numbersIn(face["ofport"]);
  if (error !== undefined) return error;
  if (number === undefined) return "ovs-vswitchd has not made it";
  return number < 0 ? "ovs-vswitchd cannot make it" : undefined;
}

function vlansOf(row: Row): Pick<OvsPort, "vlan" | "trunks"> {
  const [mode] = textsIn(row["vlan_mode"]);
  const [tag] = numbersIn(row["tag"]);
  const trunks = numbersIn(row["trunks"]);
  if (mode === undefined && tag === undefined && trunks.length === 0) return { trunks: "all" };
  const vlan = tag === undefined || tag === 0 ? {} : { vlan: tag };
  if (mode === "access") return vlan;
  return { ...vlan, trunks: mode === "native-untagged" ? rangesOf(trunks) : `${mode ?? "other"} ${rangesOf(trunks)}` };
}

function tunnelIn(options: ReadonlyMap<string, string>): OvsPort["tunnel"] {
  const remote = options.get("remote_ip");
  if (remote === undefined) return undefined;
  const port = options.get("dst_port");
  return {
    local: options.get("local_ip") ?? "",
    remote,
    key: Number(options.get("key") ?? Number.NaN),
    ...(port === undefined ? {} : { port: Number(port) }),
  };
}

/** Makes a bridge; `datapath` as Open vSwitch names it. `n` tells the rows of one transaction apart. */
export function makeBridge({ name, of }: OvsBridge, datapath: string, n: number): Operation[] {
  const external_ids = mapOf({ [MARK]: of });
  return [
    { op: "insert", table: "Interface", row: { name, type: "internal", external_ids }, "uuid-name": `i${n}` },
    {
      op: "insert",
      table: "Port",
      // No port of Weft's, and not part of what it looks after: it comes and goes with its bridge.
      row: { name, interfaces: named(`i${n}`) },
      "uuid-name": `p${n}`,
    },
    {
      op: "insert",
      table: "Bridge",
      row: { name, ports: named(`p${n}`), datapath_type: datapath, fail_mode: "standalone", external_ids },
      "uuid-name": `b${n}`,
    },
    { op: "mutate", table: "Open_vSwitch", where: [], mutations: [["bridges", "insert", setOf([named(`b${n}`)])]] },
  ];
}

/** Makes a port; refused (`timed out`) where its bridge is not there. */
export function makePort(port: OvsPort, n: number): Operation[] {
  const { name, bridge } = port;
  const where = [["name", "==", bridge]] as const;
  return [
    { op: "wait", table: "Bridge", where, columns: ["name"], until: "==", rows: [{ name: bridge }], timeout: 0 },
    { op: "insert", table: "Interface", row: { name, ...faceColumns(port) }, "uuid-name": `i${n}` },
    {
      op: "insert",
      table: "Port",
      row: { name, interfaces: named(`i${n}`), ...portColumns(port) },
      "uuid-name": `p${n}`,
    },
    { op: "mutate", table: "Bridge", where, mutations: [["ports", "insert", setOf([named(`p${n}`)])]] },
  ];
}

/** Brings a port that is there to what it should be. */
export function changePort(port: OvsPort): Operation[] {
  const where = [["name", "==", port.name]] as const;
  return [
    { op: "update", table: "Interface", where, row: faceColumns(port) },
    { op: "update", table: "Port", where, row: portColumns(port) },
  ];
}

/** Takes a port out of its bridge; the database then removes it with its interface. */
export function removePort(bridge: string, id: string): Operation {
  const mutations = [["ports", "delete", setOf([["uuid", id]])]];
  return { op: "mutate", table: "Bridge", where: [["name", "==", bridge]], mutations };
}

export function removeBridge(id: string): Operation {
  return { op: "mutate", table: "Open_vSwitch", where: [], mutations: [["bridges", "delete", setOf([["uuid", id]])]] };
}

/** Marks a bridge as another's, or as Weft's for something else. */
export function markBridge(id: string, of: string | undefined): Operation[] {
  const where = [["_uuid", "==", ["uuid", id]]] as const;
  return [
    { op: "mutate", table: "Bridge", where, mutations: [["external_ids", "delete", setOf([MARK])]] },
    ...(of === undefined
      ? []
      : [
          {
            op: "mutate",
            table: "Bridge",
            where,
            mutations: [["external_ids", "insert", mapOf({ [MARK]: of })]],
          } as const,
        ]),
  ];
}

function faceColumns(port: OvsPort): Columns {
  return {
    type: port.type === "system" ? "" : port.type,
    mtu_request: port.mtu ?? setOf([]),
    options: mapOf(tunnelOptions(port)),
    external_ids: mapOf({ [MARK]: port.of }),
  };
}

function portColumns(port: OvsPort): Columns {
  const { mode, tag, trunks } = vlanMode(port);
  return {
    vlan_mode: mode ?? setOf([]),
    tag: tag ?? setOf([]),
    trunks: setOf(trunks),
    protected: port.tunnel !== undefined,
    external_ids: mapOf({ [MARK]: port.of }),
  };
}
