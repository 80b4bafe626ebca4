// A user as the rights see it. The view keeps those that were asked for, until a user, an ACL rule, a
// host or a cluster of hosts changes.
import type { Narrowing } from "../../model/narrowing.ts";
import type { AclRule } from "../../model/resource.ts";

export type Principal = {
  readonly user: string;
  /** The primary one, in which is what it makes. */
  readonly group: string;
  /** All of them. */
  readonly groups: ReadonlySet<string>;
  /** ACL rules that give it something. */
  readonly rules: readonly AclRule["spec"][];
  /** Hosts of the clusters whose hosts the rules are about, by the cluster. */
  readonly hosts: ReadonlyMap<string, ReadonlySet<string>>;
  /** What its token takes away of all that. */
  readonly narrowing?: Narrowing;
};
