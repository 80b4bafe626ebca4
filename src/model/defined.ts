// Drops undefined fields, so that JSON and comparisons do not see them.

type Defined<T> = { readonly [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  readonly [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** The same members, without those that are undefined. An attach spreads each instead: that is quicker (2 us of 23). */
export function defined<const T extends Readonly<Record<string, unknown>>>(members: T): Defined<T> {
  const kept: Record<string, unknown> = {};
  for (const key in members) if (members[key] !== undefined) kept[key] = members[key];
  // Made of its members; TypeScript cannot see which ones are left.
  return kept as Defined<T>;
}
