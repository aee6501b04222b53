/* SHAP values of one row and one pass over a tree, for LANES quadrature nodes; tree_shap.c includes it for each width. Every
   operation is one of a lane, in an order that the width of the processor's vectors cannot change. */

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define VEC JOIN(Vec, LANES)

typedef double VEC __attribute__((vector_size(LANES * sizeof(double)), aligned(sizeof(double)), may_alias));

CLONES static void JOIN(explain_rows_, LANES)(const Explainer *e, const Forest *f, const Class *c, const double *cells,
                                               int64_t rows, double *scratch, uint8_t *agrees, uint8_t *taken, double *sums)
{
    const VEC *tables = (const VEC *)c->table;
    VEC *v = (VEC *)scratch;
    agrees[0] = 1;
    for (int64_t i = 0; i < c->n_passes; i++) {
        const Pass *pass = c->pass + i;
        const VEC *rule = (const VEC *)(c->rule) + 3 * pass->rule;
        const VEC shown = rule[1], hidden = rule[2];
        const Split *split = c->split + pass->from;
        int64_t n = pass->n;
        for (int64_t r = 0; r < rows; r++) {
            const double *x = cells + r * (f->n_slots + 1);
            VEC *phi = (VEC *)sums + r * e->n_used;
            v[0] = rule[0];
            for (int64_t k = 0; k < n; k++) {
                const Split *s = split + k;
                const VEC *t = tables + s->table;
                double value = x[s->slot & ~CATEGORY];
                int side = s->slot & CATEGORY ? !in_category_set(f, s->number, value) : !(value <= s->number);
                VEC p = v[s->parent], near, far;
                if (s->earlier == 0) {
                    near = p * t[2 * side];
                    far = p * shown * s->weight[1 - side];
                    taken[k] = (uint8_t)side;
                    agrees[2 * k + 1 + side] = 1;
                } else if (agrees[s->earlier]) {
                    near = p * t[2 * side];
                    far = p * t[4] * s->weight[1 - side];
                    taken[k] = (uint8_t)side;
                    agrees[2 * k + 1 + side] = 1;
                } else {
                    near = p * s->ratio[side];
                    far = p * s->ratio[1 - side];
                    taken[k] = (uint8_t)(side | 2);
                    agrees[2 * k + 1 + side] = 0;
                }
                agrees[2 * k + 2 - side] = 0;
                v[2 * k + 1 + side] = near * s->value[side];
                v[2 * k + 2 - side] = far * s->value[1 - side];
            }
            for (int64_t k = n - 1; k >= 0; k--) {
                const Split *s = split + k;
                int side = taken[k] & 1;
                VEC near = v[2 * k + 1 + side], far = v[2 * k + 2 - side], both = near + far;
                v[s->parent] = both;
                if (taken[k] & 2)
                    continue;
                const VEC *t = tables + s->table;
                VEC share = near * t[2 * side + 1] - far * hidden;
                if (s->earlier)
                    share -= both * t[5];
                phi[s->column] += share;
            }
        }
    }
}

/* Add up the lanes of every feature, in their order. */
static void JOIN(add_lanes_, LANES)(int64_t n, const double *sums, double *phi)
{
    for (int64_t j = 0; j < n; j++) {
        double sum = 0.0;
        for (int q = 0; q < LANES; q++)
            sum += sums[j * LANES + q];
        phi[j] += sum;
    }
}

#undef VEC
#undef JOIN
#undef JOIN_
#undef LANES
