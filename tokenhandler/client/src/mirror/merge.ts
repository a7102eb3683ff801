import type { Conflict } from './types'

/**
 * A `merge` for lists of records with an id: records that one side has added, changed or deleted become so in the result. If both
 * have changed a record, this browser's is taken; if one has changed what the other has deleted, it stays.
 */
export const mergeById =
  <T extends object>(id: keyof T) =>
  ({ base = [], mine, theirs }: Conflict<T[]>): T[] => {
    const find = (list: T[], { [id]: value }: T) => list.find((other) => other[id] === value)
    const unchanged = (record: T) => JSON.stringify(record) === JSON.stringify(find(base, record))
    return [
      ...theirs.filter((record) => !find(mine, record) && !unchanged(record)),
      ...mine.flatMap((record) => {
        const other = find(theirs, record)
        return unchanged(record) ? (other ?? []) : record
      }),
    ]
  }
