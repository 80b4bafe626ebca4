// The parts that all schemas of the model are written with, and the type that a schema describes. TypeScript types of
// resources, requests and reports are derived from their schemas by `Value`, so that neither can change alone.
import Type, { type Static, type TLiteral, type TObject, type TProperties, type TSchema, type TUnion } from "typebox";

/** What a schema describes, as a value that nothing changes. */
export type Value<S extends TSchema> = DeepReadonly<Static<S>>;

type DeepReadonly<T> = T extends readonly (infer U)[]
  ? readonly DeepReadonly<U>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;

export const optional = Type.Optional;

/** An object in which a field that the schema does not name is refused. */
export function strictObject<P extends TProperties>(properties: P, description?: string): TObject<P> {
  return Type.Object(properties, {
    additionalProperties: false,
    ...(description === undefined ? {} : { description }),
  });
}

/** Characters of a text of which nothing else is said, of a name, and items of a list. */
const TEXT_MAX = 1024;
export const NAME_MAX = 253;
const LIST_MAX = 1024;
/** Of a path of Linux (limits.h). */
export const PATH_MAX = 4096;
/** Addresses of one endpoint. */
export const ADDRESSES_MAX = 64;
/** Items of a list with one for each host. */
export const HOSTS_MAX = 10_000;

export function Text(description?: string, maxLength: number = TEXT_MAX) {
  return Type.String({ maxLength, ...(description === undefined ? {} : { description }) });
}

export function Texts(description?: string, maxItems: number = LIST_MAX) {
  return Type.Array(Text(), { maxItems, ...(description === undefined ? {} : { description }) });
}

/** Of a resource, an owner or the like: not longer than a name can be. */
export const Name = Type.String({ maxLength: NAME_MAX });
/** What people say of a resource. */
export const Description = Text();

/** Of answers; and of what a host says of itself, which is cut and not refused (cleanText.ts). */
export function AnyText(description: string) {
  return Type.String({ description });
}

export function AnyTexts(description: string) {
  return Type.Array(Type.String(), { description });
}

export function Flag(description: string) {
  return Type.Boolean({ description });
}

/** One of these words. */
export function oneOf<const W extends string>(words: readonly W[], description?: string): TUnion<[TLiteral<W>]> {
  const options = description === undefined ? {} : { description };
  const [only] = words;
  const schema =
    only !== undefined && words.length === 1
      ? Type.Literal(only, options)
      : Type.Union(
          words.map((word) => Type.Literal(word)),
          options,
        );
  // The types of a list of unknown length cannot be a union; the type of one literal with all words is the same.
  return schema as unknown as TUnion<[TLiteral<W>]>;
}
