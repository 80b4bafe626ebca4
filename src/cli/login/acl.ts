// `weft acl`: rules that give rights, by options or from a file.
import type { Command } from "commander";
import type { AclRule } from "../../model/resource.ts";
import { ACL_KINDS, RIGHTS } from "../../model/rights.ts";
import type { Cli } from "../context.ts";
import type { Switches, Texts } from "../input/options.ts";
import { wordsOf } from "../input/settings.ts";
import { misuse } from "../output/error.ts";
import { register as registerKind } from "../resource/noun.ts";

type Flags = Texts<"toUser" | "toGroup" | "kinds" | "named" | "ofGroup" | "ofCluster" | "rights"> &
  Switches<"toAll" | "all">;

export function register(noun: Command, cli: Cli): void {
  registerKind(noun, cli, "aclrule", {
    add: (command) =>
      command
        .option("--to-user <name>", "this user gets the rights")
        .option("--to-group <name>", "the members of this group of users")
        .option("--to-all", "every user")
        .option("--kinds <kinds>", `for what, like network,vrf: of ${ACL_KINDS.join(", ")}`)
        .option("--named <name>", "for the one of this name")
        .option("--of-group <name>", "for those that belong to this group of users")
        .option("--of-cluster <name>", "for those of this cluster of hosts")
        .option("--all", "for every one")
        .option("--rights <rights>", `which, like use,manage: of ${RIGHTS.join(", ")}, create`),
    changed,
    examples: [
      "weft acl create red-makes-templates --to-group red --kinds template --all --rights create",
      "weft acl create alice-uses-dmz --to-user alice --kinds network --named dmz --rights use",
    ],
  });
}

/** Who and what are each said as a whole, or stay as they are. What is wrong with them, the server says. */
function changed(before: AclRule["spec"] | undefined, flags: Flags): object {
  const { kinds: kindsBefore, ...selectedBefore } = before?.resource ?? {};
  const kinds = flags.kinds === undefined ? kindsBefore : wordsOf(flags.kinds, "--kinds");
  const rights = flags.rights === undefined ? before?.rights : wordsOf(flags.rights, "--rights");
  if (kinds === undefined)
    throw misuse("--kinds", "it is not known for what", "give --kinds, like --kinds network,vrf");
  if (rights === undefined)
    throw misuse("--rights", "it is not known which", "give --rights, like --rights use,manage");
  const subject = said({ user: flags.toUser, usergroup: flags.toGroup, all: flags.toAll }) ?? before?.subject;
  const { named: name, ofGroup: usergroup, ofCluster: hostcluster, all } = flags;
  const selected = said({ name, usergroup, hostcluster, all }) ?? selectedBefore;
  if (subject === undefined)
    throw misuse("--to-user", "it is not known for whom", "give --to-user, --to-group or --to-all");
  return { subject, resource: { kinds, ...selected }, rights };
}

/** Those that were given; undefined if none was. */
function said<T extends object>(values: T): Partial<T> | undefined {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  // The entries are those of the values.
  return given.length === 0 ? undefined : (Object.fromEntries(given) as Partial<T>);
}
