/** A value of a metadata field. */
export type FieldValue = string | number | boolean | (string | number | boolean)[];

export interface Item {
  id: string;
  split: string;
  labels: string[];
  fields: Record<string, FieldValue>;
  texts: string[];
  has_picture: boolean;
  modalities: string[];
  /** Modality -> class -> probability, for posterior matching. */
  posterior: Record<string, Record<string, number>> | null;
  /** Whether a person gave or confirmed its classes; of a single item only. */
  confirmed?: boolean;
}

export interface Result extends Item {
  /** Modality of the item whose vector matched best. */
  modality: string;
  score: number;
  /** Probability that query and item share a class; null if the space is not calibrated. */
  relevance: number | null;
  has_keywords: boolean;
  /** Items behind this one, with max_similarity. */
  similar: string[];
}

export interface Query {
  text?: string;
  /** A photo; with several of text, image, vector and id, their mean is searched for. */
  image?: Blob;
  vector?: number[];
  /** An item of the index: "more like this". */
  id?: string;
  /** Maximum number of results (default: 10). */
  k?: number;
  offset?: number;
  modality?: string;
  query_modality?: string;
  /** A filter, such as 'label = "Watches" and price < 50'. */
  where?: string;
  /** From 0, similar category, to 1, exact item. */
  instance_weight?: number;
  min_relevance?: number;
  /** Whether items that hold all words of a query of text alone come first. */
  keywords?: boolean;
  /** Weight of the text in a query of text and something else (default: that of the space). */
  text_weight?: number;
  /** Words to avoid: items that hold all of them are left out; with commas, of one of the parts. */
  without?: string;
  /** Ids of items to be unlike. */
  less_like?: string[];
  /** A vector to be unlike, as embed returns it for a photo. */
  less_like_vector?: number[];
  /** From 0, by score, to 1: prefers results unlike those before them. */
  diversity?: number;
  /** Results that are more similar than this are listed behind the best of them, in `similar`. */
  max_similarity?: number;
  /** A field: of the items with equal values, the best is listed. */
  group_by?: string;
  /** A field, with "-" before it for descending order. */
  sort?: string;
}

export interface SearchResponse {
  results: Result[];
  total: number;
  nothing_matches: boolean;
  has_instance_block: boolean;
  calibrated: boolean;
  seconds: number;
}

export interface NewItem {
  id: string;
  text?: string[];
  labels?: string[];
  fields?: Record<string, string | number | boolean | null>;
}

export interface About {
  name: string;
  items: number;
  /** Items, those of one group counted once. */
  groups: number;
  modalities: string[];
  reads: ("text" | "image")[];
  classes: string[];
  samples: { label: string; id: string }[];
  fields: Record<string, { kind: string; values: unknown[]; distinct: number; min: number | null; max: number | null }>;
  roles: Partial<Record<"title" | "price" | "link" | "group", string>>;
  has_instance_block: boolean;
  default_instance_weight: number | null;
  default_text_weight: number;
  calibrated: boolean;
  writable: boolean;
  feedback: boolean;
  fingerprint: string;
  languages: string[];
}

export interface Options {
  signal?: AbortSignal;
}

export class ServiceError extends Error {
  /** HTTP status; 0 if the service cannot be reached. */
  status: number;
  code: string;
  expected: string;
  found: string;
  advice: string;
}

export class Client {
  constructor(address: string, options?: { key?: string; fetch?: typeof fetch });
  search(query: Query, options?: Options): Promise<SearchResponse>;
  embed(query: { text?: string; image?: Blob }, options?: Options): Promise<{ vector: number[]; fingerprint: string }>;
  item(id: string, options?: Options): Promise<Item & { neighbors: Result[]; variants: string[] }>;
  items(options?: { where?: string; page?: number } & Options): AsyncGenerator<Item, void, void>;
  facets(where?: string | null, options?: { without?: string; group_by?: string } & Options): Promise<Record<string, { value: unknown; count: number }[]>>;
  about(options?: Options): Promise<About>;
  put(item: NewItem & { image?: Blob }, options?: Options): Promise<{ id: string; change: string; items: number }>;
  putMany(
    items: NewItem[],
    options?: Options,
  ): Promise<{ added: number; replaced: number; described: number; unchanged: number; items: number }>;
  remove(id: string, options?: Options): Promise<{ id: string; change: string; items: number }>;
  judge(
    judgment: { id: string; useful: boolean; text?: string | null; query_id?: string | null },
    options?: Options,
  ): Promise<{ status: string }>;
  imageUrl(id: string): string;
  thumbnailUrl(id: string, size?: number): string;
}
