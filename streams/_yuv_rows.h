/* Rows of YUV to RGB and back: the arithmetic of yuv.py and chroma.py, operation by operation. */

#include <stddef.h>
#include <stdint.h>

/* Compiled twice and chosen when the module is loaded. A third time, with AVX-512, is no faster:
 * memory is what is waited for. */
#if defined(__x86_64__) && defined(__GLIBC__) && __GNUC__ >= 12 && !defined(__SANITIZE_ADDRESS__)
#define CLONED __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define CLONED
#endif

typedef struct {
    float scale, black;         /* luma from its code */
    float red, blue;            /* of Cr and of Cb in red and in blue, for what enlarging makes */
    float green_cb, green_cr;
    float low, high;            /* where red, green and blue end */
} Reading;

typedef struct {
    float red, green, blue;     /* in the code of luma */
    float zero;                 /* code of black, and a half, which rounds */
    float per_code;             /* luma of a code */
    float cb, cb_zero, cr, cr_zero;
} Writing;

/* A row of chroma between three of its plane, gain times as large; gain 1 and slope 0: the row. */
CLONED static void between_rows(const uint8_t *above, const uint8_t *row, const uint8_t *below,
                                int gain, int slope, int grey, int16_t *restrict out,
                                ptrdiff_t count)
{
    for (ptrdiff_t i = 0; i < count; i++)
        out[i] = (int16_t)(gain * (row[i] - grey) + slope * (above[i] - below[i]));
}

/* Twice as many columns, twice as large; row[count] is there. */
CLONED static void double_cosited(const int16_t *restrict row, int16_t *restrict out,
                                  ptrdiff_t count)
{
    for (ptrdiff_t i = 0; i < count; i++) {
        out[2 * i] = (int16_t)(2 * row[i]);
        out[2 * i + 1] = (int16_t)(row[i] + row[i + 1]);
    }
}

/* Twice as many columns, eight times as large; row[-1] and row[count] are there. */
CLONED static void double_halfway(const int16_t *restrict row, int16_t *restrict out,
                                  ptrdiff_t count)
{
    for (ptrdiff_t i = 0; i < count; i++) {
        int slope = row[i - 1] - row[i + 1];
        out[2 * i] = (int16_t)(8 * row[i] + slope);
        out[2 * i + 1] = (int16_t)(8 * row[i] - slope);
    }
}

static float clamp(float x, float low, float high)
{
    x = x > low ? x : low;      /* what is no number becomes the lower end */
    return x < high ? x : high;
}

CLONED static void mix_row(const uint8_t *restrict luma, const int16_t *restrict cb,
                           const int16_t *restrict cr, const Reading *reading,
                           float *restrict red, float *restrict green, float *restrict blue,
                           ptrdiff_t count)
{
    const Reading by = *reading;
    for (ptrdiff_t i = 0; i < count; i++) {
        float y = by.black + by.scale * luma[i];
        red[i] = clamp(y + by.red * cr[i], by.low, by.high);
        blue[i] = clamp(y + by.blue * cb[i], by.low, by.high);
        green[i] = clamp(y + by.green_cb * cb[i] + by.green_cr * cr[i], by.low, by.high);
    }
}

static uint8_t code(float x) { return (uint8_t)(int)clamp(x, 0, 255); }

static float luma_code(float red, float green, float blue, const Writing *by)
{
    return by->zero + by->red * red + by->green * green + by->blue * blue;
}

static float mean(float a, float b) { return b - (b - a) * 0.5f; }

/* Codes of luma, and red and blue less luma, of a row; rgb are its three colours. */
CLONED static void split_row(const float *const rgb[3], const Writing *writing,
                             uint8_t *restrict luma, float *restrict red, float *restrict blue,
                             ptrdiff_t count)
{
    const Writing by = *writing;
    const float *r = rgb[0], *g = rgb[1], *b = rgb[2];
    for (ptrdiff_t i = 0; i < count; i++) {
        float y = luma_code(r[i], g[i], b[i], &by);
        luma[i] = code(y);
        red[i] = r[i] - y * by.per_code;
        blue[i] = b[i] - y * by.per_code;
    }
}

/* The same of two rows, whose differences are those of their mean. */
CLONED static void split_rows(const float *const first[3], const float *const second[3],
                              const Writing *writing, uint8_t *restrict upper,
                              uint8_t *restrict lower, float *restrict red, float *restrict blue,
                              ptrdiff_t count)
{
    const Writing by = *writing;
    const float *r = first[0], *g = first[1], *b = first[2];
    const float *r2 = second[0], *g2 = second[1], *b2 = second[2];
    for (ptrdiff_t i = 0; i < count; i++) {
        float y = luma_code(r[i], g[i], b[i], &by), y2 = luma_code(r2[i], g2[i], b2[i], &by);
        upper[i] = code(y);
        lower[i] = code(y2);
        float grey = mean(y, y2) * by.per_code;
        red[i] = mean(r[i], r2[i]) - grey;
        blue[i] = mean(b[i], b2[i]) - grey;
    }
}

/* Every other column by the 5/3 filter, in its lifting form. */
CLONED static void halve_cosited(const float *restrict row, float *restrict even,
                                 float *restrict odd, ptrdiff_t count)
{
    for (ptrdiff_t i = 0; i < count; i++) {
        even[i] = row[2 * i];
        odd[i] = row[2 * i + 1];
    }
    even[count] = even[count - 1];
    for (ptrdiff_t i = 0; i < count; i++)
        odd[i] = odd[i] - 0.5f * even[i] - 0.5f * even[i + 1];
    odd[-1] = odd[0];
    for (ptrdiff_t i = 0; i < count; i++)
        even[i] = even[i] + 0.25f * odd[i] + 0.25f * odd[i - 1];
}

CLONED static void halve_halfway(const float *restrict row, float *restrict out, ptrdiff_t count)
{
    for (ptrdiff_t i = 0; i < count; i++)
        out[i] = mean(row[2 * i], row[2 * i + 1]);
}

CLONED static void encode_row(const float *restrict row, float scale, float zero,
                              uint8_t *restrict out, ptrdiff_t count)
{
    for (ptrdiff_t i = 0; i < count; i++)
        out[i] = code(zero + scale * row[i]);
}
