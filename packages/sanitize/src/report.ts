/** Counts alone: what was done and looked at, never a value. Signed with the snapshot. */
export interface DatabaseReport {
  readonly tables: number;
  readonly columns: number;
  readonly columnsMasked: number;
  readonly rows: number;
  readonly columnsScanned: number;
  readonly rowsScanned: number;
  readonly canariesPlanted: number;
  readonly canaryColumns: number;
  /** Tables that could take no canary; their columns were proved by samples and detectors alone. */
  readonly tablesWithoutCanary: number;
  readonly valuesSampled: number;
  readonly referencesChecked: number;
}

export interface MaskingReport extends DatabaseReport {
  readonly databases: number;
}

export function addReports(reports: readonly DatabaseReport[]): MaskingReport {
  const sum = (pick: (report: DatabaseReport) => number) =>
    reports.reduce((total, report) => total + pick(report), 0);
  return {
    databases: reports.length,
    tables: sum((one) => one.tables),
    columns: sum((one) => one.columns),
    columnsMasked: sum((one) => one.columnsMasked),
    rows: sum((one) => one.rows),
    columnsScanned: sum((one) => one.columnsScanned),
    rowsScanned: sum((one) => one.rowsScanned),
    canariesPlanted: sum((one) => one.canariesPlanted),
    canaryColumns: sum((one) => one.canaryColumns),
    tablesWithoutCanary: sum((one) => one.tablesWithoutCanary),
    valuesSampled: sum((one) => one.valuesSampled),
    referencesChecked: sum((one) => one.referencesChecked),
  };
}
