export function done(): void;
