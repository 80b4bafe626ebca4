// What the record of a resource kind has. A kind is a record in kinds/ and a row in kinds.ts; what is the same for all
// kinds (types, API, client, command line, completion, which hosts see it) is derived from these.
import type { TSchema } from "typebox";
import { Fault, type Reason } from "./fault.ts";
import type { Access } from "./rights.ts";
import type { Value } from "./schema.ts";

/** Of a spec with these fields, where there are kinds of these names. */
export type KindRecord<Field extends PropertyKey = string, Name extends string = string> = {
  /** What is stored of it. */
  readonly spec: TSchema;
  /**
   * Its list in a snapshot; without the s, and with a capital, what the API calls its schema. Default: the kind with an
   * s. In lower case it is pluralOf() the kind.
   */
  readonly list?: string;
  /** What people call one. Default: the kind. */
  readonly called?: string;
  /** The command that lists what there is. Default: `KIND list`. */
  readonly see?: string;
  /** The reason of a Fault about a name that is not there. Default: `not-found`. */
  readonly unknown?: Reason;
  readonly seenBy: SeenBy<Field>;
  /** Each has an owner, a group and a mode (model/rights.ts), and can be locked. */
  readonly owned?: true;
  /** Names that container runtimes give a meaning of their own are refused. */
  readonly hasReservedNames?: true;
  /** One that is there before it is written, and shown at revision 0 until then. */
  readonly builtIn?: { readonly name: string; readonly spec: object; readonly access?: Access };
  /** Fields of the spec that name resources, and their kind: they must be there, and do not go without this one. */
  readonly refersTo?: Readonly<Partial<Record<Field, Name>>>;
  /** How users put it. Absent: they do not, or by requests of its own. */
  readonly put?: KindPut;
  /** Whether administrators delete it; own: what that takes along is decided in control/kinds.ts. */
  readonly remove?: "own" | "plain";
  /** Fields of the spec that a list shows, for a kind without a command of its own. Default: all. */
  readonly columns?: readonly Field[];
};

/**
 * Which hosts see it: all; none, because only the server decides by it; the one that a field names; those that carry
 * the VRF of the network that a field names.
 */
type SeenBy<Field> = "all" | "none" | { readonly host: Field } | { readonly carriersOf: Field };

export type KindPut = {
  /** What a writer says: the spec without what Weft can choose. */
  readonly input: TSchema;
  /** Admitted in control/kinds.ts. Absent: by `admit` alone. */
  readonly own?: true;
  /** Place in an apply: what others refer to is put first. Networks are 4. */
  readonly order: number;
  /** Of its route, for the OpenAPI document. */
  readonly summary: string;
  /** What `force` does, if there is a `force`. */
  readonly force?: string;
  /** The input with addresses and the like in canonical form; a Fault names the field by its path. */
  readonly canonical?: (input: never, where: string) => unknown;
  /** The spec that the input comes to. Default: the input itself. */
  readonly complete?: (input: never) => unknown;
  /** Throws a Fault for a spec that does not fit to what is there. References have been found. */
  readonly admit?: (spec: never, reader: Reader, name: string) => void;
};

/** What `admit` may ask. A kind is told by its record. */
export type Reader = {
  /** Undefined if there is none of this name. */
  get<S extends TSchema>(kind: { readonly spec: S }, name: string): Value<S> | undefined;
  /** Whether there is one of this kind and name. */
  has(kind: string, name: string): boolean;
  all<S extends TSchema>(kind: { readonly spec: S }): readonly { readonly name: string; readonly spec: Value<S> }[];
};

/** The Fault of `admit` for a name of another kind that is not there. */
export function nameMissing(
  { called, unknown }: KindRecord & { readonly called: string },
  name: string,
  where: string,
): Fault {
  return new Fault(unknown ?? "not-found", {
    what: `there is no ${called} "${name.slice(0, 80)}"`,
    where,
    fix: `name a ${called} that is there, or make it first`,
  });
}

/** In paths of the API; without the table of kinds, because a client need not load all schemas for a path. */
export function pluralOf(kind: string): string {
  return kind === "freed" ? kind : `${kind}s`;
}
