/** Wrong usage, or a config with faults: started again as it is, a command would end so again. */
export const EXIT_USAGE = 2;
