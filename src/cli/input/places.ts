// Where in a file a resource is: refusals of the server name it by its number in the request, which people do not see.
import { Fault } from "../../model/fault.ts";

type Named = { readonly kind: string; readonly name: string };
/** The place of a field of the resource, like `lab.yaml:5`; of the nearest field around it that the file has. */
type PlaceOf = (path: string) => string;

const places = new WeakMap<Named, PlaceOf>();

export function remember(item: Named, placeOf: PlaceOf): void {
  places.set(item, placeOf);
}

/** What the request with these resources gives; its Fault about one of them names file, line, resource and field. */
export async function inFile<T>(items: readonly Named[], asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    throw error instanceof Fault ? placed(items, error) : error;
  }
}

function placed(items: readonly Named[], error: Fault): Fault {
  const [, number = "", path = ""] = /^resources\[(\d+)\]\.?(.*)$/.exec(error.detail.where ?? "") ?? [];
  const item = number === "" ? undefined : items[Number(number)];
  const placeOf = item === undefined ? undefined : places.get(item);
  if (item === undefined || placeOf === undefined) return error;
  const field = path.replace(/^spec\.?/, "");
  const where = `${placeOf(path)}, ${item.kind} ${item.name}${field === "" ? "" : `: ${field}`}`;
  const what = error.detail.what.replace(`resources[${number}].`, "").replace(/^spec\./, "");
  return new Fault(error.reason, { ...error.detail, what, where }, { cause: error });
}
