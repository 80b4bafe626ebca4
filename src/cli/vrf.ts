// `weft vrf`: routing domains. They come and go with their networks, so there is only something to look at.
import type { Command } from "commander";
import type { Vrf } from "../model/resource.ts";
import type { Cli } from "./cli.ts";
import { connect } from "./connect.ts";
import { printing, remote, type ReadOptions } from "./options.ts";
import { byName, fields, printList, printOne, type Column } from "./output.ts";

export function register(noun: Command, cli: Cli): void {
  const list = noun.command("list").alias("ls").description("List routing domains.");
  printing(remote(list)).action(cli.verb((options: ReadOptions) => listVrfs(cli, options)));
  const show = noun.command("show").argument("<name>").description("One routing domain: its tunnel and its networks.");
  printing(remote(show)).action(cli.verb((name: string, options: ReadOptions) => showVrf(cli, name, options)));
}

const COLUMNS: readonly Column<Vrf>[] = [
  { header: "NAME", of: (v) => v.name },
  { header: "VNI", of: (v) => String(v.spec.vni) },
  { header: "PORT", of: (v) => String(v.spec.tunnelPort) },
  { header: "VTEPS", of: (v) => v.spec.vtepSubnets.join(", ") },
  { header: "HOST-ACCESS", of: (v) => (v.spec.hostAccess ? "yes" : "no") },
  { header: "OUI", of: (v) => v.spec.vtepMacOui, wide: true },
  { header: "INDEX", of: (v) => String(v.spec.index), wide: true },
];

async function listVrfs(cli: Cli, options: ReadOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const listing = {
    columns: COLUMNS,
    name: (v: Vrf) => `vrf/${v.name}`,
    empty: "No routing domains: each comes with its first network.",
  };
  await printList(cli.io, options, listing, byName(await server.list("vrf")));
}

async function showVrf(cli: Cli, name: string, options: ReadOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const [vrf, networks] = await Promise.all([server.get("vrf", name), server.list("network")]);
  await printOne(cli.io, options, vrf, `vrf/${name}`, () =>
    fields(cli.io, [
      ["Name", name],
      [
        "Networks",
        byName(networks.filter((n) => n.spec.vrf === name))
          .map((n) => n.name)
          .join(", "),
      ],
      ["VNI", String(vrf.spec.vni)],
      ["Tunnel", `VXLAN, UDP port ${vrf.spec.tunnelPort}`],
      ["VTEP subnets", vrf.spec.vtepSubnets.join(", ")],
      ["VTEP MACs", `${vrf.spec.vtepMacOui}:…`],
      ["VTEP device", vrf.spec.vtepName],
      ["Host access", vrf.spec.hostAccess ? "hosts and its workloads reach each other" : "none"],
      ["Revision", String(vrf.revision)],
    ]),
  );
}
