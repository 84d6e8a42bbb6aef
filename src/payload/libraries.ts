import { createRequire } from 'node:module';
import type { Ajv } from 'ajv';
import type { Ajv2019 } from 'ajv/dist/2019.js';
import type { Ajv2020 } from 'ajv/dist/2020.js';
import type jsonata from 'jsonata';

/*
 * Loaded when they are first asked for: a gateway whose mappings check nothing does without the 16 MB and the
 * 0.1 s that the two take.
 */
const load = createRequire(import.meta.url);

/** The compiler of JSONata. */
export function loadJsonata(): typeof jsonata {
  return load('jsonata') as typeof jsonata;
}

/**
 * The compiler of the JSON Schema draft that `$schema` names: 2020-12 without one, 2019-09, or draft-06 and -07. `format`
 * is an annotation, as the specification has it.
 */
export function loadAjv(draft: string): Ajv {
  const options = { strictTypes: false, strictTuples: false, strictRequired: false };
  const all = { ...options, validateFormats: false };
  if (draft.includes('2019-09')) {
    const loaded = load('ajv/dist/2019') as { Ajv2019: typeof Ajv2019 };
    return new loaded.Ajv2019(all);
  }
  if (draft.includes('draft-0')) {
    const loaded = load('ajv') as { Ajv: typeof Ajv };
    const ajv = new loaded.Ajv(all);
    ajv.addMetaSchema(load('ajv/dist/refs/json-schema-draft-06.json') as object);
    return ajv;
  }
  const loaded = load('ajv/dist/2020') as { Ajv2020: typeof Ajv2020 };
  return new loaded.Ajv2020(all);
}
