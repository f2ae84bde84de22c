/**
 * The knowledge graph behind the nine tools: what each of them means, on records instead of one file.
 *
 * The rules are those of the reference memory server. Creating skips names that exist and returns only what is new;
 * observations need their entity; deleting what is not there is no error, and an entity takes its observations and its
 * relations with it; relations may point to entities that nobody created. Two things differ, because records are keyed:
 * a thing named twice in one request is created once, and spellings that differ in Unicode form only are one name.
 *
 * What reads before it writes takes turns with its like on this daemon. Between daemons the same creations are the same
 * record, so nothing is lost and nothing doubled. An observation added elsewhere while its entity is deleted here stays
 * in the store and is shown again when the entity is created again.
 */
import { ChrysalisError } from '../../base/errors.ts'
import type { ToolContext } from '../profile.ts'
import type { Turns } from '../turns.ts'
import { isLive, KeyedStore, type Item } from './keyed-store.ts'
import {
  cleaned,
  entityKey,
  entityRecord,
  GRAPH_PATH,
  hashOf,
  inOrder,
  observationIn,
  observationKey,
  observationRecord,
  observationsPath,
  partOf,
  RELATION_PATH,
  relationKey,
  relationRecord,
  type Entity,
  type Relation,
  type Stamps
} from './server-memory-records.ts'

export interface Graph {
  readonly entities: readonly Entity[]
  readonly relations: readonly Relation[]
}

export interface ObservationsOf {
  readonly entityName: string
  readonly contents: readonly string[]
}

/** Asked for more names than this, it is cheaper to read the graph once. */
const SINGLE_READS_MAX = 16

export class KnowledgeGraph {
  readonly #store: KeyedStore
  readonly #context: ToolContext
  readonly #turns: Turns
  readonly #stamps: Stamps

  private constructor(store: KeyedStore, context: ToolContext, shared: { turns: Turns; stamps: Stamps }) {
    this.#store = store
    this.#context = context
    this.#turns = shared.turns
    this.#stamps = shared.stamps
  }

  /** `shared` must be that of every connection of this daemon. Rejects with `not_found` when there is no such space. */
  static async open(context: ToolContext, shared: { turns: Turns; stamps: Stamps }): Promise<KnowledgeGraph> {
    return new KnowledgeGraph(await KeyedStore.open(context), context, shared)
  }

  /** The entities that were new. Throws `invalid_argument` or `too_large` before anything is written. */
  async createEntities(wanted: readonly Entity[]): Promise<Entity[]> {
    const entities = distinct(wanted.map(cleanEntity), (entity) => entity.name)
    // Checked with the stamp of now: only lengths matter, and those do not change.
    for (const entity of entities) this.#recordsOf(entity)
    return this.#inTurn(
      entities.map(({ name }) => name),
      async () => {
        const keys = entities.map(({ name }) => entityKey(name))
        const known = await this.#store.get(keys)
        const fresh = entities.filter(({ name }) => !isLive(known.get(entityKey(name))))
        const parts = fresh.map((entity) => this.#recordsOf(entity))
        const observations = parts.flatMap((part) => part.observations)
        const before = await this.#store.get(observations.map(({ key }) => key as string))
        // Entities last: whoever sees one sees all of it, also when a large request takes several batches.
        const all = [...observations, ...parts.map((part) => part.entity)]
        await this.#store.put(all, new Map([...known, ...before]))
        return fresh
      }
    )
  }

  /** The relations that were new. */
  async createRelations(wanted: readonly Relation[]): Promise<Relation[]> {
    const relations = distinct(wanted.map(cleanRelation), relationKey)
    for (const relation of relations) relationRecord(relation, this.#stamp())
    return this.#inTurn(relations.map(relationKey), async () => {
      const known = await this.#store.get(relations.map(relationKey))
      const fresh = relations.filter((relation) => !isLive(known.get(relationKey(relation))))
      await this.#store.put(
        fresh.map((relation) => relationRecord(relation, this.#stamp())),
        known
      )
      return fresh
    })
  }

  /** What was new for each entry of `wanted`. Throws `not_found` for the first entity that is missing: none is written. */
  async addObservations(
    wanted: readonly ObservationsOf[]
  ): Promise<{ entityName: string; addedObservations: string[] }[]> {
    const entries = wanted.map(({ entityName, contents }) => ({
      entityName: cleaned('name of an entity', entityName),
      contents: contents.map((text) => cleaned('observation', text))
    }))
    for (const { entityName, contents } of entries) {
      for (const text of contents) observationRecord(entityName, text, this.#stamp())
    }
    const names = entries.map(({ entityName }) => entityName)
    return this.#inTurn(names, async () => {
      const entities = await this.#store.get(names.map(entityKey))
      const missing = names.find((name) => !isLive(entities.get(entityKey(name))))
      if (missing !== undefined) {
        throw new ChrysalisError('not_found', `Entity with name ${missing} not found.`, {
          hint: 'Nothing was written. Create it with create_entities first.'
        })
      }
      const keysOf = (name: string, texts: readonly string[]) => texts.map((text) => observationKey(name, text))
      const known = await this.#store.get(entries.flatMap(({ entityName, contents }) => keysOf(entityName, contents)))
      const taken = new Set([...known].flatMap(([key, item]) => (isLive(item) ? [key] : [])))
      const records: ReturnType<typeof observationRecord>[] = []
      const results = entries.map(({ entityName, contents }) => {
        const added = contents.filter((text) => claim(taken, observationKey(entityName, text)))
        records.push(...added.map((text) => observationRecord(entityName, text, this.#stamp())))
        return { entityName, addedObservations: added }
      })
      await this.#store.put(records, known)
      return results
    })
  }

  /** With their observations and all relations from and to them. Names that are not there are passed over. */
  async deleteEntities(wanted: readonly string[]): Promise<void> {
    const names = new Set(wanted.map((name) => cleaned('name of an entity', name)))
    return this.#inTurn([...names], async () => {
      const found = await this.#store.get([...names].map(entityKey))
      const entities = [...found.values()].filter(isLive)
      const observations = await this.#observationsOf(names)
      const relations = (await this.#store.list(RELATION_PATH)).filter((item) => touches(item, names))
      // The entity last: if this ends half way, asking again does the rest.
      await this.#store.retract(ids([...relations, ...observations]), 'deleted with its entity')
      await this.#store.retract(ids(entities), 'deleted')
    })
  }

  async deleteObservations(wanted: readonly { entityName: string; observations: readonly string[] }[]): Promise<void> {
    const entries = wanted.map(({ entityName, observations }) => ({
      name: cleaned('name of an entity', entityName),
      texts: new Set(observations.map((text) => cleaned('observation', text)))
    }))
    return this.#inTurn(
      entries.map(({ name }) => name),
      async () => {
        for (const { name, texts } of entries) {
          // Listed and not looked up by key: one that was revised has another text than the one it was created with.
          const items = await this.#store.list(observationsPath(name))
          const doomed = items.filter((item) => texts.has(observationIn(item.content ?? '', name)))
          await this.#store.retract(ids(doomed), 'deleted')
        }
      }
    )
  }

  async deleteRelations(wanted: readonly Relation[]): Promise<void> {
    const keys = distinct(wanted.map(cleanRelation), relationKey).map(relationKey)
    return this.#inTurn(keys, async () => {
      const found = await this.#store.get(keys)
      await this.#store.retract(ids([...found.values()].filter(isLive)), 'deleted')
    })
  }

  async readGraph(): Promise<Graph> {
    return graphOf(await this.#store.list(GRAPH_PATH))
  }

  /** Entities whose name, type or observation contains the words as they are, and relations that touch them. */
  async searchNodes(query: string): Promise<Graph> {
    const wanted = query.normalize('NFC').toLowerCase()
    const says = (text: string): boolean => text.toLowerCase().includes(wanted)
    const graph = await this.readGraph()
    return touching(
      graph,
      ({ name, entityType, observations }) => says(name) || says(entityType) || observations.some(says)
    )
  }

  /** The entities of these names, and relations that touch one of them. */
  async openNodes(wanted: readonly string[]): Promise<Graph> {
    const names = new Set(wanted.map((name) => name.normalize('NFC')))
    if (names.size > SINGLE_READS_MAX) return touching(await this.readGraph(), ({ name }) => names.has(name))
    const entities = [...(await this.#store.get([...names].map(entityKey))).values()].filter(isLive)
    if (entities.length === 0) return { entities: [], relations: [] }
    const observations = await this.#observationsOf(names)
    const relations = await this.#store.list(RELATION_PATH)
    return touching(graphOf([...entities, ...observations, ...relations]), () => true)
  }

  async #observationsOf(names: ReadonlySet<string>): Promise<Item[]> {
    if (names.size > SINGLE_READS_MAX) {
      const paths = [...names].map((name) => `${observationsPath(name)}/`)
      return (await this.#store.list('kg/o')).filter((item) => paths.some((path) => item.path?.startsWith(path)))
    }
    const lists: Item[] = []
    for (const name of names) lists.push(...(await this.#store.list(observationsPath(name))))
    return lists
  }

  #recordsOf({ name, entityType, observations }: Entity) {
    return {
      entity: entityRecord({ name, entityType, observations: [] }, this.#stamp()),
      observations: observations.map((text) => observationRecord(name, text, this.#stamp()))
    }
  }

  #stamp(): string {
    return this.#stamps.next(this.#context.nowMs())
  }

  #inTurn<T>(names: readonly string[], act: () => Promise<T>): Promise<T> {
    return this.#turns.take(
      names.map((name) => `${this.#store.space} ${name}`),
      act
    )
  }
}

/** In order of creation. Observations and relations of entities that are not here yet wait for them unseen. */
function graphOf(items: readonly Item[]): Graph {
  const entities = new Map<string, { name: string; entityType: string; observations: string[] }>()
  const relations: Relation[] = []
  const observations: { entityHash: string; content: string }[] = []
  for (const item of inOrder(items)) {
    const part = partOf(item)
    if (part?.part === 'entity') {
      const { name, entityType } = part
      entities.set(hashOf(name), { name, entityType, observations: [] })
    } else if (part?.part === 'relation') relations.push(part.relation)
    else if (part !== undefined) observations.push(part)
  }
  for (const { entityHash, content } of observations) {
    const entity = entities.get(entityHash)
    entity?.observations.push(observationIn(content, entity.name))
  }
  return { entities: [...entities.values()], relations }
}

function touching(graph: Graph, wanted: (entity: Entity) => boolean): Graph {
  const entities = graph.entities.filter(wanted)
  const names = new Set(entities.map(({ name }) => name))
  return { entities, relations: graph.relations.filter(({ from, to }) => names.has(from) || names.has(to)) }
}

function touches(item: Item, names: ReadonlySet<string>): boolean {
  const part = partOf(item)
  return part?.part === 'relation' && (names.has(part.relation.from) || names.has(part.relation.to))
}

function ids(items: readonly Item[]): string[] {
  return items.map(({ id }) => id)
}

/** Whether it was free until now. */
function claim(taken: Set<string>, key: string): boolean {
  if (taken.has(key)) return false
  taken.add(key)
  return true
}

function distinct<T>(list: readonly T[], keyOf: (value: T) => string): T[] {
  const seen = new Set<string>()
  return list.filter((value) => claim(seen, keyOf(value)))
}

function cleanEntity({ name, entityType, observations }: Entity): Entity {
  return {
    name: cleaned('name of an entity', name),
    entityType: cleaned('type of an entity', entityType),
    observations: distinct(
      observations.map((text) => cleaned('observation', text)),
      (text) => text
    )
  }
}

function cleanRelation({ from, to, relationType }: Relation): Relation {
  return {
    from: cleaned('name of an entity', from),
    to: cleaned('name of an entity', to),
    relationType: cleaned('type of a relation', relationType)
  }
}
